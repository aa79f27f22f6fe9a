"""Codex itself, as its official SDK runs it (`codex app-server` over stdio); blocking calls are made in threads.

It is the SDK's `CodexClient`, not the `AsyncCodex` around it: that one has two approval modes of Codex's three,
answers "accept" to whatever is asked, and keeps warnings, and what concerns sub-agents, to itself.
"""

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, cast

from openai_codex import CodexConfig, CodexError, InvalidParamsError, InvalidRequestError
from openai_codex.client import CodexClient
from openai_codex.models import JsonObject, Notification
from pydantic import BaseModel, Field

from cody.agents.drivers.codex.approvals import answer
from cody.agents.drivers.codex.events import SKIPPED

CLIENT = "cody"
LOG: Final = "codex_api::sse::responses=debug"
"""What Codex is asked to log: it says nowhere else that it passed an event over (seen with 0.163)."""
_UNREAD: Final = "Failed to parse SSE event"
STARTS: Final = 3
"""How often it is started: of several that make the files of a new home at once, one succeeds (seen with 0.163)."""
_NOT_READY: Final = "failed to initialize"
BETWEEN_STARTS_SECONDS: Final = 0.3


class Heard(NamedTuple):
    """A notification: its method and its parameters as they were sent."""

    method: str
    params: Mapping[str, Any]


class Gone(NamedTuple):
    """Codex has ended, or speaks in riddles; nothing more will be heard."""

    why: BaseException


class Thread(BaseModel):
    """A conversation of Codex's."""

    id: str
    path: str | None = None
    """Where Codex writes it down as it goes."""


class Opened(BaseModel):
    """The answer to `thread/start` and `thread/resume`."""

    thread: Thread
    model: str


class _Config(BaseModel):
    config: dict[str, Any] = Field(default_factory=dict[str, Any])


class _Log(deque[str]):
    """The newest lines of Codex's log; tells of those about events that were skipped."""

    def __init__(self, tell: Callable[[Heard], None]) -> None:
        super().__init__(maxlen=400)
        self._tell = tell

    def append(self, line: str, /) -> None:
        """One line more."""
        super().append(line)
        if _UNREAD in line:
            self._tell(Heard(SKIPPED, {}))


class _Client(CodexClient):
    """Lets every notification be heard in the order in which they come, whatever turn or thread they are about."""

    def __init__(self, config: CodexConfig, tell: Callable[[Heard], None]) -> None:
        self._tell = tell
        super().__init__(config, approval_handler=self._answer)
        self._stderr_lines = _Log(tell)

    def _coerce_notification(self, method: str, params: object) -> Notification:
        told: object = params  # the test below would narrow it for what comes after it
        self._tell(Heard(method, cast("dict[str, Any]", told) if isinstance(told, dict) else {}))
        return super()._coerce_notification(method, params)

    def _answer(self, method: str, params: JsonObject | None) -> JsonObject:
        self._tell(Heard(method, cast("Mapping[str, Any]", params or {})))
        return cast("JsonObject", answer(method))


class Codex:
    """A running Codex. `heard` is what it says; a `Gone` is the last of it. Requests raise the SDK's CodexError."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[Heard | Gone] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        log = ",".join(filter(None, (os.environ.get("RUST_LOG", "error"), LOG)))
        self._config = CodexConfig(client_name=CLIENT, client_title=CLIENT, env={"RUST_LOG": log})
        self._client = _Client(self._config, self._put)

    async def start(self) -> None:
        """Start it; raises FileNotFoundError where the SDK came without its CLI."""
        for left in reversed(range(STARTS)):
            await asyncio.to_thread(self._client.start)
            try:
                await asyncio.to_thread(self._client.initialize)
                break
            except CodexError as error:
                if not left or _NOT_READY not in str(error):
                    raise
            await asyncio.to_thread(self._client.close)
            await asyncio.sleep(BETWEEN_STARTS_SECONDS)
            self._client = _Client(self._config, self._put)
        threading.Thread(target=self._until_gone, daemon=True).start()

    async def config(self) -> Mapping[str, Any]:
        """The configuration of the user, as it holds in the working directory."""
        read = await asyncio.to_thread(self._client.request, "config/read", {}, response_model=_Config)
        return read.config

    async def open(self, params: Mapping[str, Any], thread_id: str | None) -> tuple[Opened, str | None]:
        """Go on with a thread, or begin one where there is none or it is gone: the second value then says why."""
        lost = None
        if thread_id is not None:
            resumed = {**params, "threadId": thread_id, "excludeTurns": True}
            try:
                return await self._open("thread/resume", resumed), None
            except (InvalidRequestError, InvalidParamsError) as error:
                lost = error.message
        return await self._open("thread/start", params), lost

    async def begin(self, thread_id: str, prompt: str, params: Mapping[str, Any]) -> str:
        """Begin a turn; gives its id."""
        started = await asyncio.to_thread(self._client.turn_start, thread_id, prompt, dict(params))
        turn_id = started.turn.id
        self._client.unregister_turn_notifications(turn_id)  # they are heard already: nothing is to pile up
        return turn_id

    async def interrupt(self, thread_id: str, turn_id: str) -> None:
        """Ask it to end the turn."""
        await asyncio.to_thread(self._client.turn_interrupt, thread_id, turn_id)

    async def close(self) -> None:
        """End the process."""
        await asyncio.to_thread(self._client.close)

    async def _open(self, method: str, params: Mapping[str, Any]) -> Opened:
        return await asyncio.to_thread(
            self._client.request, method, cast("JsonObject", dict(params)), response_model=Opened
        )

    def _put(self, heard: Heard | Gone) -> None:
        self._loop.call_soon_threadsafe(self.heard.put_nowait, heard)

    def _until_gone(self) -> None:
        """What is not about a turn waits in the SDK until somebody takes it; who does so learns of the end."""
        while True:
            try:
                self._client.next_notification()
            except (CodexError, OSError, ValueError) as error:
                self._put(Gone(error))
                return
