"""The projector beside a turn: it saves while text flows, ends with the attempt, and goes on from any crash."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator

import pytest
from temporalio.exceptions import ApplicationError

from activities.project import PLACE_EVENTS
from cody.contract.tasks import HANDED_OVER
from cody.store import Store
from cody.stream.keys import log_key
from tests.figures import own
from tests.integration.projector.projector_stage import PID, Stage, staged
from tests.integration.store.store_stage import row
from tests.parts import RedisServer, new_run_id, until


@pytest.fixture
async def stage(store: Store, redis_server: RedisServer) -> AsyncGenerator[Stage]:
    async with staged(store, redis_server) as stage:
        yield stage


async def test_it_saves_while_text_flows_and_ends_with_the_attempt(stage: Stage) -> None:
    projector = stage.project()
    said, seen = "", [""]
    async with stage.attempt() as speech:
        speech.begin()
        while len(seen) < 5:
            speech.text("word ")
            said += "word "
            await asyncio.sleep(0.005)
            if (text := await stage.text()) != seen[-1]:
                seen.append(text)
        figures = (await row(stage.store, stage.run_id)).row
        assert (figures["current_turn"], figures["attempt"], figures["pid"]) == (1, 1, PID)
        assert not projector.task.done()
        speech.tokens(4)
        speech.complete()

    report = await projector.report()
    assert (report.cursor, report.tokens) == (len(await stage.log.after(stage.run_id, 0)), 5)
    assert all(said.startswith(text) for text in seen)
    assert await stage.text() == said
    await stage.assert_projected()


async def test_a_finished_item_is_saved_at_once(stage: Stage) -> None:
    projector = stage.project()
    async with stage.attempt() as speech:
        speech.begin()
        for number in range(20):
            speech.say("item_start", item_id=f"call_{number}", item_type="function_call", name="shell", call_id="c")
            final = {"id": f"call_{number}", "type": "function_call", "name": "shell", "call_id": "c"}
            speech.say("item_done", item_id=f"call_{number}", final_item=final)
            await until(lambda number=number: _has_items(stage, number + 2))
        speech.complete()
    await projector.report()
    await stage.assert_projected()


async def test_a_flood_that_changes_no_document_still_moves_the_place(stage: Stage) -> None:
    projector = stage.project()
    async with stage.attempt() as speech:
        speech.begin()
        await until(lambda: _is_at(stage, 3))
        for _ in range(2 * PLACE_EVENTS):
            speech.say("warning", code="flood", message="again")
        await until(lambda: _is_at(stage, PLACE_EVENTS))
        assert not projector.task.done()
        speech.complete()
    await projector.report()
    await stage.assert_projected()


async def _is_at(stage: Stage, seq: int) -> bool:
    return (await row(stage.store, stage.run_id)).row["cursor_seq"] >= seq


async def _has_items(stage: Stage, count: int) -> bool:
    document = await stage.document()
    return document is not None and len(document.output_items) == count


async def test_a_turn_that_is_folded_already_returns_at_once(stage: Stage) -> None:
    async with stage.attempt() as speech:
        speech.begin()
        speech.tokens(4)
        speech.complete()
    first = await stage.project().report()
    before = await stage.document()
    assert await stage.project().report(1) == first
    assert await stage.document() == before
    await stage.assert_projected()


async def test_an_older_attempts_end_is_not_the_end_that_is_waited_for(stage: Stage) -> None:
    async with stage.attempt() as speech:
        speech.begin()
        speech.tokens(4)
        speech.fail()
    assert (await stage.project().report()).tokens == 5
    again = stage.project(first=2)
    async with stage.attempt(attempt=2) as speech:
        speech.begin()
        await until(lambda: _attempt(stage, 2))
        assert not again.task.done()
        speech.tokens(6)
        speech.complete()
    assert (await again.report()).tokens == 5 + 7
    await stage.assert_projected()


async def _attempt(stage: Stage, attempt: int) -> bool:
    return (await row(stage.store, stage.run_id)).row["attempt"] == attempt


async def test_an_attempt_that_never_ended_is_superseded(stage: Stage) -> None:
    projector = stage.project()
    async with stage.attempt() as speech:
        speech.begin()
        speech.text("lost")
        speech.tokens(4)
        await until(stage.text)
    async with stage.attempt(attempt=2) as speech:
        speech.begin()
        speech.text("found")
        speech.complete()
    assert (await projector.report()).tokens == 5
    assert await stage.text() == "found"
    await stage.assert_projected()


async def test_each_turn_has_its_own_projector(stage: Stage) -> None:
    after = 0
    for turn in (1, 2, 3):
        projector = stage.project(turn, after=after)
        async with stage.attempt(turn) as speech:
            speech.begin()
            speech.text(f"turn {turn}")
            speech.tokens(1)
            speech.complete()
        report = await projector.report()
        assert (report.cursor > after, report.tokens) == (True, 2 * turn)
        after = report.cursor
    await stage.assert_projected()


@pytest.mark.parametrize("seed", range(3))
async def test_it_goes_on_wherever_it_was_killed(stage: Stage, seed: int) -> None:
    chance, written = random.Random(seed), asyncio.Event()

    async def write() -> None:
        for attempt in (1, 2, 3):
            async with stage.attempt(attempt=attempt) as speech:
                speech.begin()
                for number in range(150):
                    speech.text(f"{number} ")
                    if number % 10 == 0:
                        speech.tokens(number)
                        speech.say("item_start", item_id=f"r_{number}", item_type="reasoning", initial_content="hm")
                        speech.say("item_cancelled", item_id=f"r_{number}")
                    await asyncio.sleep(chance.choice([0, 0, 0.002]))
                if attempt == 3:
                    speech.complete()
        written.set()

    writing, kills = asyncio.create_task(write()), 0
    while not written.is_set():
        projector = stage.project()
        await asyncio.wait((projector.task,), timeout=chance.uniform(0, 0.06))
        kills += not projector.task.done()
        await projector.kill()
    await writing
    assert kills > 5
    assert (await stage.project().report()).tokens == 3 * sum(number + 1 for number in range(0, 150, 10))
    await stage.assert_projected()


async def test_two_projectors_at_once_count_nothing_twice(stage: Stage) -> None:
    projectors = [stage.project() for _ in range(3)]
    async with stage.attempt() as speech:
        speech.begin()
        for number in range(100):
            speech.text(f"{number} ")
            speech.tokens(1)
            await asyncio.sleep(0.002)
        speech.complete()
    reports = [await projector.report() for projector in projectors]
    assert {(report.cursor, report.tokens) for report in reports} == {(reports[0].cursor, 200)}
    await stage.assert_projected()


async def test_redis_is_killed_meanwhile(stage: Stage, redis_server: RedisServer) -> None:
    projector = stage.project()
    async with stage.attempt() as speech:
        speech.begin()
        for number in range(3):
            speech.text(f"{number} ")
            await until(lambda number=number: _says(stage, f"{number} "))
            async with redis_server.killed():
                speech.text("meanwhile ")
        speech.tokens(1)
        speech.complete()
    assert (await projector.report()).tokens == 2
    assert await stage.text() == "0 meanwhile 1 meanwhile 2 meanwhile "
    await stage.assert_projected()


async def _says(stage: Stage, text: str) -> bool:
    return text in await stage.text()


async def test_who_goes_on_still_knows_the_pid(stage: Stage) -> None:
    first = stage.project()
    async with stage.attempt() as speech:
        speech.begin()
        speech.text("before ")
        await until(stage.text)
        await first.kill()
        second = stage.project()
        speech.text("after")
        await until(lambda: _says(stage, "after"))
        assert (await row(stage.store, stage.run_id)).row["pid"] == PID
        speech.complete()
    await second.report()
    await stage.assert_projected()


async def test_it_waits_patiently_for_a_response_to_begin(stage: Stage) -> None:
    projector = stage.project()
    async with stage.attempt() as speech:
        speech.say("turn_started", agent="command", pid=PID)
        await speech.writer.flush()
        await until(lambda: stage.hub.watched and stage.hub._rings[stage.run_id].last.seq == 1)
        began = time.process_time()
        await asyncio.wait((projector.task,), timeout=0.5)
        assert time.process_time() - began < 0.25
        behind = own()
        speech.start_response()
        speech.complete()
    await projector.report()
    assert behind.value("cody_projector_lag_events") == behind.value("cody_projector_lag_events_max") == 1
    assert behind.value("cody_projector_lag_seconds") == behind.value("cody_projector_lag_seconds_max") > 0
    assert own().value("cody_projector_lag_events") == own().value("cody_projector_lag_seconds") == 0
    await stage.assert_projected()


async def test_a_worker_that_shuts_down_hands_it_over(stage: Stage) -> None:
    first = stage.project()
    async with stage.attempt() as speech:
        speech.begin()
        speech.text("before ")
        await until(stage.text)
        first.shut_down()
        speech.text("after")
        with pytest.raises(ApplicationError) as handed:
            await first.report()
        assert handed.value.type == HANDED_OVER
        speech.complete()
    await stage.project().report()
    assert await stage.text() == "before after"
    await stage.assert_projected()


async def test_a_log_that_cannot_be_read_ends_it_for_good(stage: Stage) -> None:
    async with stage.attempt() as speech:
        speech.begin()
    await stage.log.append(stage.run_id, 1001, 4, [("item_delta", b"{")])
    with pytest.raises(ApplicationError) as poisoned:
        await stage.project().report()
    assert poisoned.value.non_retryable


async def test_a_log_that_was_trimmed_too_far_ends_it_for_good(stage: Stage) -> None:
    async with stage.attempt() as speech:
        speech.begin()
    await stage.log.redis.xtrim(log_key(stage.run_id), minid="3-0", approximate=False)
    with pytest.raises(ApplicationError, match="SEQ 1 to 2") as trimmed:
        await stage.project().report()
    assert trimmed.value.non_retryable


async def test_a_run_that_is_not_in_the_store_ends_it_for_good(stage: Stage) -> None:
    stranger = Stage(stage.store, stage.log, stage.hub, new_run_id())
    async with stranger.attempt() as speech:
        speech.begin()
        speech.complete()
    with pytest.raises(ApplicationError) as unknown:
        await stranger.project().report()
    assert (unknown.value.type, unknown.value.non_retryable) == ("run_unknown", True)
