"""A stage for the projector: a run in a real store, its log in a real Redis, and attempts that write it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from temporalio.testing import ActivityEnvironment

from activities.beside import beside
from activities.project import ProjectActivity
from cody.contract import tasks as t
from cody.contract.base import response_id_of
from cody.contract.events import PAYLOADS, Speaker
from cody.contract.responses import Response
from cody.fold import RunFolder
from cody.store import Store
from cody.stream.hub import Hub
from cody.stream.log import Log
from cody.stream.writer import AttemptWriter
from tests.integration.store.store_stage import AT, TRACE, a_run, begin, row
from tests.parts import PATIENCE_SECONDS, RedisServer, connected

ERROR = {"code": "agent_exit", "message": "exit code 3", "retryable": True}
PID = 4711


class Speech:
    """An attempt at a turn that says what it is told to."""

    def __init__(self, log: Log, run_id: str, turn: int, attempt: int) -> None:
        self.run_id, self.turn = run_id, turn
        speaker = Speaker(run_id=run_id, turn=turn, attempt=attempt, trace_context=TRACE)
        self.writer = AttemptWriter(log, speaker)

    def say(self, type_: str, **payload: Any) -> None:
        self.writer.emit(type_, AT, PAYLOADS[type_].model_validate(payload))

    def begin(self) -> None:
        """Up to where a message's text flows."""
        self.say("turn_started", agent="command", pid=PID)
        self.start_response()
        self.say("item_start", item_id="msg_1", item_type="message")

    def start_response(self) -> None:
        ids = {"response_id": response_id_of(self.run_id, self.turn), "turn_id": f"turn_{self.turn}"}
        self.say("response_start", **ids, thread_id="t", model_id="sh", provider_id="command", created_at=AT)

    def text(self, text: str) -> None:
        self.say("item_delta", item_id="msg_1", delta_content=text)

    def tokens(self, count: int) -> None:
        self.say("token_usage", prompt_tokens=count, completion_tokens=1, total_tokens=count + 1)

    def fail(self) -> None:
        self.say("turn_failed", error=ERROR, will_retry=True)

    def complete(self) -> None:
        response_id = response_id_of(self.run_id, self.turn)
        self.say("response_done", response_id=response_id, status="complete", finish_reason="stop")
        self.say("turn_completed", should_continue=True)


class Stage:
    """One run, its log and its store."""

    def __init__(self, store: Store, log: Log, hub: Hub, run_id: str) -> None:
        self.store, self.log, self.hub, self.run_id = store, log, hub, run_id
        self._projectors: list[Projector] = []

    @asynccontextmanager
    async def attempt(self, turn: int = 1, attempt: int = 1) -> AsyncGenerator[Speech]:
        """What is said in the block is in the log at its end."""
        speech = Speech(self.log, self.run_id, turn, attempt)
        writing = asyncio.create_task(speech.writer.run())
        try:
            yield speech
        finally:
            speech.writer.close()
            await writing

    def project(self, turn: int = 1, *, first: int = 1, after: int = 0) -> "Projector":
        """Start the activity."""
        task = t.ProjectTask(run_id=self.run_id, turn=turn, first_attempt=first, after=after)
        projector = Projector(ProjectActivity(self.store, self.hub), task)
        self._projectors.append(projector)
        return projector

    async def clear(self) -> None:
        """End what a test that failed left running."""
        for projector in self._projectors:
            if not projector.task.done():
                await projector.kill()

    async def document(self, turn: int = 1) -> Response | None:
        return await self.store.responses.get(response_id_of(self.run_id, turn))

    async def text(self) -> str:
        """What the saved message says so far."""
        document = await self.document()
        return str(getattr(document.output_items[0], "content", "")) if document and document.output_items else ""

    async def folded(self) -> RunFolder:
        """The run as a client hydrates it."""
        folder, seq = RunFolder(), 0
        while entries := await self.log.after(self.run_id, seq):
            for entry in entries:
                folder.feed(entry.cursor, entry.type, entry.event)
            seq = entries[-1].seq
        return folder

    async def assert_projected(self) -> None:
        """The documents and the run's figures are what a client makes of the log."""
        folder = await self.folded()
        assert await self.store.responses.of_run(self.run_id) == list(folder.responses.values())
        figures = (await row(self.store, self.run_id)).row
        newest = list(folder.folders.values())[-1]
        assert (figures["current_turn"], figures["attempt"]) == (newest.turn, newest.attempt)
        assert (figures["cursor"], figures["pid"]) == (str(newest.cursor), None)
        assert figures["tokens"] == folder.tokens.total_tokens
        ends = [each.ended.type for each in folder.folders.values() if each.ended]
        assert figures["turns"] == ends.count("turn_completed")


class Projector:
    """The activity under way."""

    def __init__(self, activity: ProjectActivity, task: t.ProjectTask) -> None:
        self._environment = ActivityEnvironment()
        self.task = asyncio.create_task(self._environment.run(activity.project_turn, task))

    def shut_down(self) -> None:
        """Tell it that its worker shuts down."""
        self._environment.worker_shutdown()

    async def kill(self) -> None:
        """Cancel it, and wait until it is gone."""
        await asyncio.sleep(0)  # the environment makes its own task first
        self._environment.cancel()
        await asyncio.wait((self.task,))

    async def report(self, seconds: float = PATIENCE_SECONDS) -> t.ProjectReport:
        """Its report, in time."""
        async with asyncio.timeout(seconds):
            return await self.task


@asynccontextmanager
async def staged(store: Store, server: RedisServer) -> AsyncGenerator[Stage]:
    """A new run on its stage, with a hub of its own."""
    run_id = await begin(store, a_run())
    async with connected(server.url) as redis, connected(server.url, blocking=True) as blocking:
        hub = Hub(Log(redis), blocking)
        stage = Stage(store, Log(redis), hub, run_id)
        async with beside(hub.run()):
            try:
                yield stage
            finally:
                await stage.clear()
        assert hub.watched == {}
