"""A turn's own attempt sees to its documents, and to what has to stand before it in the log."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from cody.contract import tasks as t
from cody.contract.base import response_id_of
from cody.contract.payloads import RunChanged
from cody.store import Store
from cody.stream.log import Log
from tests.integration.store.store_stage import AT, row
from tests.integration.turn.turn_stage import Turns, taking
from tests.parts import RedisServer


@pytest.fixture
async def turns(store: Store, log: Log, redis_server: RedisServer, tmp_path: Path) -> AsyncGenerator[Turns]:
    async with taking(store, log, redis_server, tmp_path) as turns:
        yield turns


def began(turns: Turns) -> t.RecordTask:
    """What the run says before its first turn."""
    words = tuple(
        t.Said(type=type_, at=AT, payload=RunChanged().model_dump()) for type_ in ("run_queued", "run_started")
    )
    return t.RecordTask(run_id=turns.run_id, status="running", first=1, said=words, at=AT, applied_control=0)


async def test_its_report_says_that_the_documents_are_final(turns: Turns):
    report = await turns.take(1)
    assert report.projected is not None
    assert report.projected.attempt == 1
    document = await turns.store.responses.get(response_id_of(turns.run_id, 1))
    assert document is not None
    assert document.status == "complete"
    figures = (await row(turns.store, turns.run_id)).row
    assert (figures["turns"], figures["cursor_seq"]) == (1, report.projected.cursor)


async def test_what_the_run_has_said_stands_before_its_turn_though_nobody_has_recorded_it_yet(turns: Turns):
    await turns.take(1, began(turns))
    assert (await turns.types())[:3] == ["run_queued", "run_started", "turn_started"]
    assert (await row(turns.store, turns.run_id)).row["status"] == "running"


async def test_an_attempt_that_was_repeated_says_it_once(turns: Turns):
    first = began(turns)
    await turns.take(1, first)
    await turns.take(2, first)
    assert (await turns.types()).count("run_started") == 1


async def test_documents_that_cannot_be_saved_are_left_to_the_projector_that_has_patience(turns: Turns):
    """The attempt is done all the same; its report does not say that it is projected."""
    await turns.store.database.rebuild(lambda its: its.exec_driver_sql("ALTER TABLE responses RENAME TO elsewhere"))
    report = await turns.take(1)
    assert (report.outcome, report.projected) == ("completed", None)
    assert (await turns.types())[-1] == "turn_completed"
