"""The driver of Claude Code: does one turn with its official SDK (see `program`)."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cody.agents.drivers.claude_code.failures import failure
from cody.agents.drivers.claude_code.messages import Messages
from cody.agents.drivers.program import Speech
from cody.agents.drivers.speech import End, Order
from cody.agents.model.failures import late
from cody.contract.errors import AGENT_EXIT, AGENT_UNAVAILABLE, SESSION_LOST, ErrorInfo
from cody.contract.payloads import Warned

if TYPE_CHECKING:
    from cody.agents.drivers.claude_code.client import Client

SESSION: Final = "claude_session"
"""In `carry`: the id of the agent's own session."""
INTERRUPT_SECONDS = 1.0
"""How long Claude Code may take to end a turn that was interrupted; after that it is ended by signals."""
LEAVE_SECONDS = 3.0
"""How long it may take to write its session and go, after a turn that it ended itself."""
LOOK_SECONDS = 0.2
"""How often it is looked at whether the tools still run."""
FINISH_REASONS: Final = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls"}
TOO_LONG: Final = "max_output_tokens"
"""The kind of an error that is none: the model may write no more. Another attempt would meet the same bound."""
INSTALL = "the agent claude-code needs its SDK: pip install 'cody[claude-code]'"


class SessionGone(Exception):
    """The session that was to go on is not there any more."""


async def turn(order: Order, speech: Speech, interrupt: asyncio.Event) -> End:
    """Do the turn; when the session that it should go on with is gone, in a fresh one."""
    try:
        from cody.agents.drivers.claude_code.client import client_for
    except ModuleNotFoundError as error:
        if not str(error.name).startswith("claude_agent_sdk"):
            raise
        return End(error=ErrorInfo(code=AGENT_UNAVAILABLE, message=INSTALL))
    session = order.carry.get(SESSION)
    try:
        return await _Turn(order, speech, interrupt, client_for(order, session)).run(resuming=session is not None)
    except SessionGone:
        message = f"the session {session} of Claude Code is gone; this turn begins a fresh one"
        speech.emit("warning", Warned(code=SESSION_LOST, message=message))
        return await _Turn(order, speech, interrupt, client_for(order, None)).run(resuming=False)


class _Turn:
    """The turn in one session."""

    def __init__(self, order: Order, speech: Speech, interrupt: asyncio.Event, client: "Client") -> None:
        self._order = order
        self._interrupt = interrupt
        self._client = client
        self._messages = Messages(speech, Path.cwd(), order.response_id)
        self._heard_at: float | None = None
        """When something was heard last, by the loop's clock; None until the provider is asked."""

    async def run(self, *, resuming: bool) -> End:
        """Until its result is there, or it is interrupted, or the provider is silent for too long."""
        from claude_agent_sdk import ClaudeSDKError

        reading = asyncio.create_task(self._converse(self._order.prompt if resuming else self._order.first_prompt))
        asked = asyncio.create_task(self._interrupt.wait())
        silent = asyncio.create_task(self._until_silent())
        await asyncio.wait((reading, asked, silent), return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            return await self._stop(reading, silent.result() if silent.done() else None)
        asked.cancel()
        silent.cancel()
        try:
            reading.result()
        except ClaudeSDKError as error:
            await self._leave(LEAVE_SECONDS)
            if resuming and self._messages.session is None and _is_session_gone(str(error)):
                raise SessionGone from error
            return self._end(error=ErrorInfo(code=AGENT_EXIT, message=str(error), retryable=True))
        await self._leave(LEAVE_SECONDS)
        return self._judged()

    async def _converse(self, prompt: str) -> None:
        """Ask, and listen until the result."""
        await self._client.connect()
        await self._client.query(prompt)
        self._heard()
        async for raw in self._client.raw():
            self._heard()
            self._messages.hear(raw)
            if self._messages.result is not None:
                return

    def _heard(self) -> None:
        self._heard_at = asyncio.get_running_loop().time()

    async def _until_silent(self) -> str:
        """Wait until the provider was silent for longer than it may; gives what to say of that."""
        loop = asyncio.get_running_loop()
        while True:
            if self._heard_at is None or self._messages.phase == "working":
                await asyncio.sleep(LOOK_SECONDS)
                continue
            asked = self._messages.phase == "asked"
            limit = self._order.answer_seconds if asked else self._order.silence_seconds
            left = self._heard_at + limit - loop.time()
            if left <= 0:
                what = "did not begin to answer" if asked else "stopped in the middle of its answer"
                return f"the provider {what}: nothing was heard for {limit:g} s"
            await asyncio.sleep(min(left, LOOK_SECONDS))

    async def _stop(self, reading: "asyncio.Task[None]", silence: str | None) -> End:
        """Interrupt it, because that was asked for or because of a `silence`, and let it write its session."""
        error = None if silence is None else late(silence).error
        self._messages.stop(error)
        interrupting = asyncio.create_task(self._ask_to_stop())
        await asyncio.wait((reading,), timeout=INTERRUPT_SECONDS)
        interrupting.cancel()
        reading.cancel()
        await self._leave(INTERRUPT_SECONDS)
        return self._end(error=error, interrupted=error is None)

    async def _ask_to_stop(self) -> None:
        try:
            await self._client.interrupt()
        except Exception as error:  # noqa: BLE001  # the SDK raises nothing narrower; signals are what comes next
            print(f"Claude Code was not interrupted: {error}", file=sys.stderr)  # noqa: T201  # a driver's log

    async def _leave(self, seconds: float) -> None:
        """Let Claude Code go; one that does not is ended with its keeper."""
        await asyncio.wait((asyncio.create_task(self._client.disconnect()),), timeout=seconds)

    def _judged(self) -> End:
        """The end that its result is."""
        result = self._messages.result
        if result is None:
            message = "Claude Code ended before its turn did"
            return self._end(error=ErrorInfo(code=AGENT_EXIT, message=message, retryable=True))
        reason = str(result.get("stop_reason") or "end_turn")
        if self._messages.kind == TOO_LONG:
            return self._end(finish_reason=FINISH_REASONS["max_tokens"])
        if result.get("is_error") and reason != "refusal":
            return self._end(error=failure(result, self._messages.kind, answering=self._messages.answer_began))
        return self._end(finish_reason=FINISH_REASONS.get(reason, reason))

    def _end(self, *, error: ErrorInfo | None = None, interrupted: bool = False, finish_reason: str = "stop") -> End:
        if error is not None:
            self._messages.stop(error)
        session = self._messages.session or self._order.carry.get(SESSION)
        return End(
            error=error,
            interrupted=interrupted,
            finish_reason=finish_reason,
            usage=self._messages.usage.total,
            carry={SESSION: session} if session else {},
        )


def _is_session_gone(said: str) -> bool:
    """What Claude Code says to an id that it does not have, or that cannot be one."""
    return "No conversation found" in said or "--resume requires" in said
