"""Attempts at a turn, taken as Temporal's executions of the activity would take them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from temporalio.testing import ActivityEnvironment

from activities.attempt import Parts
from activities.beside import beside
from activities.end import EndActivity
from activities.project import ProjectActivity
from activities.record import RecordActivity
from activities.turn import TurnActivity
from cody.agents.base import OutputLimits
from cody.agents.keepers import Keepers
from cody.agents.registry import agent_for
from cody.contract import tasks as t
from cody.contract.base import response_id_of
from cody.contract.payloads import ResponseDone, TurnCompleted
from cody.store import Store
from cody.stream.hub import Hub
from cody.stream.log import Log
from tests.integration.store.store_stage import AT, a_run, begin
from tests.integration.stream.stream_stage import assert_lawful, whole
from tests.parts import RedisServer, connected


class Turns:
    """Takes attempts at turn 1 of a run whose agent leaves a line in `done` each time it works."""

    def __init__(self, store: Store, log: Log, hub: Hub, keepers: Keepers, place: Path) -> None:
        self.store, self.log, self.hub, self.place = store, log, hub, place
        self.run_id = ""
        self._parts = Parts(
            store=store,
            log=log,
            agent_for=lambda kind: agent_for(kind, keepers),
            kill_grace_seconds=1.0,
            limits=OutputLimits(),
            environment={"PATH": "/usr/bin:/bin"},
        )

    def reads(self, log: Log) -> None:
        """From now on attempts work on this log."""
        self._parts = replace(self._parts, log=log)

    async def begin(self) -> None:
        agent = {"kind": "command", "command": ["sh", "-c", "echo worked >>done"]}
        self.run_id = await begin(self.store, a_run(agent=agent, working_dir=str(self.place), max_turns=1))

    async def take(self, attempt: int, first: t.RecordTask | None = None, *, unproven: bool = False) -> t.TurnReport:
        """What the attempt's execution by Temporal would be."""
        task = t.TurnTask(
            run_id=self.run_id,
            turn=1,
            first_attempt=1,
            failures=0,
            turn_attempts=3,
            applied_control=0,
            started_at=AT,
            first=first,
            unproven=unproven,
        )
        environment = ActivityEnvironment()
        environment.info = replace(environment.info, attempt=attempt)
        project = ProjectActivity(self.store, self.hub)
        record = RecordActivity(self.store, self.log, EndActivity(self.store, self.log, 1.0), project)
        return await environment.run(TurnActivity(self._parts, record, project).take_turn, task)

    async def done_by(self, attempt: int) -> None:
        """An attempt has done the turn and kept its report, but has not said its last words."""
        await self.store.turns.claim(self.run_id, 1, attempt, f"owner_{attempt}", "the prompt")
        done = ResponseDone(response_id=response_id_of(self.run_id, 1), status="complete", finish_reason="stop")
        words = {"response_done": done, "turn_completed": TurnCompleted(should_continue=False)}
        kept = t.KeptReport(
            attempt=attempt,
            outcome="completed",
            words=tuple(t.Said(type=type_, at=AT, payload=word.model_dump()) for type_, word in words.items()),
        )
        await self.store.turns.keep_report(self.run_id, 1, attempt, kept.model_dump_json())

    async def types(self) -> list[str]:
        entries = await whole(self.log, self.run_id)
        assert_lawful(entries)
        return [entry.type for entry in entries]

    @property
    def worked(self) -> int:
        path = self.place / "done"
        return len(path.read_text().splitlines()) if path.exists() else 0


@asynccontextmanager
async def taking(store: Store, log: Log, redis_server: RedisServer, place: Path) -> AsyncGenerator[Turns]:
    """A run whose turn 1 waits to be taken, with what a worker has beside its activities."""
    keepers = Keepers()
    async with connected(redis_server.url, blocking=True) as blocking:
        hub = Hub(log, blocking)
        turns = Turns(store, log, hub, keepers, place)
        await turns.begin()
        async with beside(hub.run()):
            try:
                yield turns
            finally:
                await keepers.close()
