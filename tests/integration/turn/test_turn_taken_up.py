"""What a later attempt at a turn finds: an earlier one that did the turn, on a worker that is lost, or only frozen."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest
from temporalio.testing import ActivityEnvironment

from activities.attempt import Parts
from activities.turn import TurnActivity
from cody.agents.base import OutputLimits
from cody.agents.keepers import Keepers
from cody.agents.registry import agent_for
from cody.contract import tasks as t
from cody.contract.base import response_id_of
from cody.contract.payloads import ResponseDone, TurnCompleted
from cody.store import Store
from cody.stream.log import Fence, Log
from tests.integration.store.store_bench import AT, a_run, begin
from tests.integration.stream.stream_bench import assert_lawful, say, whole


class Turns:
    """Takes attempts at turn 1 of a run whose agent leaves a line in `done` each time it works."""

    def __init__(self, store: Store, log: Log, keepers: Keepers, place: Path) -> None:
        self.store, self.log, self.place = store, log, place
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

    async def take(self, attempt: int) -> t.TurnReport:
        """What the attempt's execution by Temporal would be."""
        task = t.TurnTask(
            run_id=self.run_id, turn=1, first_attempt=1, failures=0, turn_attempts=3, applied_control=0, started_at=AT
        )
        environment = ActivityEnvironment()
        environment.info = replace(environment.info, attempt=attempt)
        return await environment.run(TurnActivity(self._parts).take_turn, task)

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


@pytest.fixture
async def turns(store: Store, log: Log, tmp_path: Path) -> AsyncGenerator[Turns]:
    place = tmp_path / "place"
    place.mkdir()
    keepers = Keepers()
    turns = Turns(store, log, keepers, place)
    await turns.begin()
    yield turns
    await keepers.close()


async def test_a_turn_that_was_done_is_not_done_again_though_its_end_was_not_written(turns: Turns):
    await say(turns.log, turns.run_id, 1, "turn_started", "response_start")
    await turns.done_by(1)
    report = await turns.take(2)
    assert (report.attempt, report.outcome, turns.worked) == (1, "completed", 0)
    assert await turns.types() == ["turn_started", "response_start", "response_done", "turn_completed"]


async def test_it_is_not_done_again_though_its_worker_wakes_and_writes_the_end_itself(turns: Turns):
    await say(turns.log, turns.run_id, 1, "turn_started", "response_start", "response_done", "turn_completed")
    await turns.done_by(1)
    assert (await turns.take(2)).attempt == 1
    assert (await turns.types()).count("turn_completed") == 1


async def test_an_attempt_that_began_meanwhile_is_not_left_without_its_end(turns: Turns):
    await say(turns.log, turns.run_id, 1, "turn_started", "response_start")
    await turns.done_by(1)
    await say(turns.log, turns.run_id, 1, "turn_started", attempt=2)
    report = await turns.take(3)
    assert (report.attempt, report.outcome, turns.worked) == (3, "completed", 1)
    assert (await turns.types())[-1] == "turn_completed"


async def test_the_agent_of_a_turn_that_is_done_meanwhile_does_not_work(turns: Turns):
    """The older attempt wakes between the newer one's look at what there is and its beginning."""

    class Waking(Log):
        async def fence(self, run_id: str) -> Fence:
            found = await super().fence(run_id)
            if found.epoch and not found.ended:
                await turns.done_by(1)
                await say(turns.log, turns.run_id, 2, "response_start", "response_done", "turn_completed")
                found = await super().fence(run_id)
            return found

    await say(turns.log, turns.run_id, 1, "turn_started")
    turns.reads(Waking(turns.log.redis))
    report = await turns.take(2)
    assert (report.attempt, report.outcome, turns.worked) == (1, "completed", 0)
    assert (await turns.types()).count("turn_completed") == 1


async def test_an_attempt_that_was_not_done_is_taken_up_anew(turns: Turns):
    await say(turns.log, turns.run_id, 1, "turn_started", "response_start")
    assert (await turns.take(2)).attempt == 2
    assert turns.worked == 1
