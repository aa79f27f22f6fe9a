"""A turn that was done has its response, also where its beginning was lost together with its writer."""

from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import pytest

from cody.archive.healing import HealingLog
from cody.contract.base import response_id_of, turn_id_of
from cody.contract.events import encode
from cody.contract.payloads import Payload, ResponseDone, ResponseStart, TurnCompleted, TurnStarted
from cody.contract.tasks import KeptEntry, KeptReport, Said
from cody.fold import Folder
from cody.store import Store
from cody.stream.ends import finish_attempt
from tests.integration.archive.healing_stage import Stage, staged
from tests.integration.store.store_stage import AT, projection
from tests.integration.stream.stream_stage import speaker, whole

WHO = 1001
TURN = ["turn_started", "response_start", "response_done", "turn_completed"]


@pytest.fixture
async def stage(store: Store, tmp_path: Path) -> AsyncGenerator[Stage]:
    async with staged(store, tmp_path) as made:
        await made.record(made.worker(), "run_started")
        await made.claim()
        yield made


def opening(run_id: str) -> Mapping[str, Payload]:
    start = ResponseStart(
        response_id=response_id_of(run_id, 1),
        turn_id=turn_id_of(run_id, 1),
        thread_id="thread",
        model_id="sh",
        provider_id="command",
        created_at=AT,
    )
    return {"turn_started": TurnStarted(agent="command"), "response_start": start}


def last(run_id: str) -> Mapping[str, Payload]:
    done = ResponseDone(response_id=response_id_of(run_id, 1), status="complete", finish_reason="stop")
    return {"response_done": done, "turn_completed": TurnCompleted(should_continue=False)}


async def open_turn(stage: Stage, log: HealingLog) -> None:
    words = opening(stage.run_id)
    who = speaker(stage.run_id, 1, 1)
    events = [(type_, encode(who, number, type_, AT, word)) for number, (type_, word) in enumerate(words.items(), 1)]
    assert (await log.append(stage.run_id, who.epoch, 1, events)).outcome == "ok"
    stage.numbers[who.epoch] = len(events)


async def keep_report(stage: Stage, log: HealingLog) -> None:
    """The turn is done; its last words are not in the log yet."""
    begun = log.held(stage.run_id, WHO, opening(stage.run_id))
    report = KeptReport(
        attempt=1,
        outcome="completed",
        opening=tuple(KeptEntry(seq=one.seq, type=one.type, event=one.event.decode()) for one in begun),
        words=tuple(
            Said(type=type_, at=AT, payload=word.model_dump(mode="json")) for type_, word in last(stage.run_id).items()
        ),
    )
    await stage.store.turns.keep_report(stage.run_id, 1, 1, report.model_dump_json())


async def told(stage: Stage) -> list[str]:
    """What the log says of the turn."""
    return [entry.type for entry in await whole(stage.worker(), stage.run_id) if entry.type in TURN]


async def folded(stage: Stage, folder: Folder) -> Folder:
    for entry in await whole(stage.worker(), stage.run_id):
        folder.feed(entry.cursor, entry.type, entry.event)
    return folder


async def test_it_is_begun_again_where_it_was_where_nothing_of_it_is_left(stage: Stage):
    log = stage.worker()
    await open_turn(stage, log)
    began = (await stage.read())[1:]
    await keep_report(stage, log)
    await stage.lose_all()

    await stage.worker().heal(stage.run_id)

    assert (await stage.read())[1:3] == began
    assert await told(stage) == TURN
    response = (await folded(stage, Folder(1))).response()
    assert response is not None
    assert (response.status, response.model_id, response.created_at) == ("complete", "sh", AT)


async def test_what_is_left_of_its_beginning_is_not_said_twice(stage: Stage):
    log, other = stage.worker(), stage.worker()
    photograph = await stage.photograph()
    await open_turn(stage, log)
    other.holdings.hold(stage.run_id, (await whole(log, stage.run_id))[1:2])
    seen = (await stage.say(log, "item_delta")).seq
    await keep_report(stage, log)
    await stage.roll_back(photograph)
    await other.saw(stage.run_id, seen)

    await other.heal(stage.run_id)

    assert await told(stage) == TURN


async def test_it_has_a_response_where_only_its_last_words_are_left(stage: Stage):
    """Another worker has said them, and all is lost before they are in the documents."""
    log, other = stage.worker(), stage.worker()
    other.holdings.hold(stage.run_id, await whole(log, stage.run_id))
    await open_turn(stage, log)
    await stage.say(log, "item_start", "item_delta", "item_done")
    await keep_report(stage, log)
    words = [(type_, AT, word) for type_, word in last(stage.run_id).items()]
    assert await finish_attempt(other, speaker(stage.run_id, 1, 1), words)
    all_of_it = await stage.read()
    await stage.lose_all()

    await other.heal(stage.run_id)

    healed = await stage.read()
    assert healed == [*all_of_it[:3], healed[3], *all_of_it[6:]]
    assert healed[3][:3] == (6, WHO, "log_gap")
    response = (await folded(stage, Folder(1))).response()
    assert response is not None
    assert response.status == "complete"


async def test_a_response_that_the_documents_have_goes_on(stage: Stage):
    log = stage.worker()
    await open_turn(stage, log)
    folder = await folded(stage, Folder(1))
    await stage.store.responses.save(projection(stage.run_id, folder))
    await keep_report(stage, log)
    await stage.lose_all()

    await stage.worker().heal(stage.run_id)

    assert await told(stage) == TURN
    response = (await folded(stage, folder)).response()
    assert response is not None
    assert response.status == "complete"
