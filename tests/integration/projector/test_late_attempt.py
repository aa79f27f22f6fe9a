"""A worker that was frozen begins an attempt after the run had settled its turn: the run's end still comes last."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.end import EndActivity
from activities.project import ProjectActivity
from activities.record import RecordActivity
from cody.contract import tasks as t
from cody.contract.errors import ErrorInfo
from cody.contract.lifecycle import RunStatus
from cody.contract.payloads import RunChanged
from cody.store import Store
from cody.stream.ends import append_lifecycle
from tests.integration.projector.projector_stage import Stage, staged
from tests.integration.store.store_stage import AT, row
from tests.integration.stream.stream_stage import speaker
from tests.parts import RedisServer

FAULT = ErrorInfo(code="agent_exit", message="exit code 3")
RECEIPT = {"requested_at": AT, "quiet_at": AT, "signals": [], "reaped": [], "survivors": [], "tokens": 0}
ENDS: list[tuple[RunStatus, dict[str, Any], str]] = [
    ("failed", {"error": FAULT.model_dump()}, "turn_failed"),
    ("cancelled", {"reason": "enough", "receipt": RECEIPT}, "turn_aborted_by_user"),
    ("completed", {"reason": "budget"}, "turn_failed"),
]
each_end = pytest.mark.parametrize(("status", "payload", "last_word"), ENDS, ids=[status for status, *_ in ENDS])


@pytest.fixture
async def stage(store: Store, redis_server: RedisServer) -> AsyncGenerator[Stage]:
    async with staged(store, redis_server) as stage:
        yield stage


async def record(stage: Stage, status: RunStatus, payload: dict[str, Any], *, first: int) -> None:
    """Write the end of the run as the workflow has it written; `first` 0 is the end of one whose workflow is gone."""
    end = EndActivity(stage.store, stage.log, 1.0)
    activity = RecordActivity(stage.store, stage.log, end, ProjectActivity(stage.store, stage.hub))
    said = t.Said(type=f"run_{status}", at=AT, payload=payload)
    error = FAULT if status == "failed" else None
    task = t.RecordTask(
        run_id=stage.run_id, status=status, first=first, said=(said,), at=AT, applied_control=0, error=error
    )
    await ActivityEnvironment().run(activity.record, task)


async def types(stage: Stage) -> list[tuple[str, int]]:
    """Each event's type and epoch."""
    return [(entry.type, entry.epoch) for entry in await stage.log.after(stage.run_id, 0)]


async def settled_and_begun_anew(stage: Stage) -> None:
    """Attempt 1 failed and is in the documents; attempt 2, of a frozen worker, begins after that and goes on."""
    await append_lifecycle(stage.log, speaker(stage.run_id), 1, [("run_queued", AT, RunChanged())])
    async with stage.attempt() as speech:
        speech.begin()
        speech.text("of the first")
        speech.fail()
    await stage.project().report()
    async with stage.attempt(attempt=2) as speech:
        speech.begin()
        speech.text("of the second")


@each_end
@pytest.mark.parametrize("first", [2, 0])
async def test_the_attempt_gets_its_end_and_the_documents_are_its_own(
    stage: Stage, status: RunStatus, payload: dict[str, Any], last_word: str, first: int
) -> None:
    await settled_and_begun_anew(stage)
    await record(stage, status, payload, first=first)
    assert (await types(stage))[-2:] == [(last_word, 1002), (f"run_{status}", 1002)]
    await stage.assert_projected()
    document = await stage.document()
    assert document is not None
    assert (document.attempt, await stage.text()) == (2, "of the second")
    assert (await row(stage.store, stage.run_id)).status == status


async def test_a_record_that_is_repeated_says_nothing_twice(stage: Stage) -> None:
    await settled_and_begun_anew(stage)
    status, payload, _ = ENDS[0]
    await record(stage, status, payload, first=2)
    before = await types(stage)
    await record(stage, status, payload, first=2)
    assert await types(stage) == before


async def test_the_late_attempt_can_write_no_more(stage: Stage) -> None:
    await settled_and_begun_anew(stage)
    status, payload, _ = ENDS[0]
    await record(stage, status, payload, first=2)
    late = await stage.log.append(stage.run_id, 1002, 100, [("item_delta", b"{}")])
    assert (late.outcome, late.count) == ("terminal", 0)
