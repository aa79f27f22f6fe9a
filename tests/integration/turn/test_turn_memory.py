"""What an attempt finds of what was before it, in a real store and a real log."""

from pathlib import Path

from activities.memory import TurnMemory
from cody.contract import tasks as t
from cody.contract.events import encode
from cody.contract.payloads import FileRead
from cody.store import NewRun, Store
from cody.stream.log import Log
from tests.integration.store.store_stage import AT, a_run, a_single, begin, change, row
from tests.integration.stream.stream_stage import events, speaker, text


async def memory(store: Store, log: Log, new: NewRun, turn: int = 1, attempt: int = 1, **task: object) -> TurnMemory:
    values = {"failures": 0, "turn_attempts": 3, "applied_control": 0, "started_at": AT, **task}
    ours = t.TurnTask.model_validate({"run_id": new.run_id, "turn": turn, "first_attempt": 1, **values})
    return TurnMemory(store, log, await row(store, new.run_id), ours, attempt)


async def lifecycle(log: Log, run_id: str, number: int, type_: str) -> None:
    done = await log.append(run_id, 0, number, events(speaker(run_id), number, [type_]))
    assert done.outcome == "ok"


async def words(log: Log, run_id: str, count: int, turn: int, attempt: int) -> None:
    """As many events, and a delta before each hundredth."""
    who = speaker(run_id, turn, attempt)
    said: list[tuple[str, bytes]] = []
    for number in range(count):
        if number % 100 == 0:
            said.append(("item_delta", encode(who, len(said) + 1, "item_delta", AT, text("x"))))
        said.append(("file_read", encode(who, len(said) + 1, "file_read", AT, FileRead(path="x"))))
    done = await log.append(run_id, who.epoch, 1, said)
    assert (done.outcome, done.count) == ("ok", len(said))


async def test_a_first_attempt_has_no_earlier_ones(store: Store, log: Log) -> None:
    new = a_run()
    await begin(store, new)
    await words(log, new.run_id, 2, turn=1, attempt=1)
    assert await (await memory(store, log, new)).attempts() == ()


async def test_a_later_attempt_reads_what_the_earlier_ones_of_its_turn_said(store: Store, log: Log) -> None:
    new = a_run()
    await begin(store, new)
    await lifecycle(log, new.run_id, 1, "run_queued")
    await words(log, new.run_id, 2, turn=1, attempt=1)
    await words(log, new.run_id, 2500, turn=2, attempt=1)
    await lifecycle(log, new.run_id, 2, "run_pausing")
    await words(log, new.run_id, 10, turn=2, attempt=2)
    await words(log, new.run_id, 1, turn=2, attempt=3)

    for after in (0, 4):  # from the log's beginning, or from the turn's
        third = await memory(store, log, new, turn=2, attempt=3, after=after)
        for _ in range(2):
            told = [(event.turn, event.attempt) for event in await third.attempts()]
            assert told == [(2, 1)] * 2500 + [(2, 2)] * 10


async def test_the_thread_is_every_turn_but_this_one(store: Store, log: Log) -> None:
    new = a_single("thread_a")
    await begin(store, new)
    await store.turns.claim(new.run_id, 1, 1, "somebody", "asked")
    assert await (await memory(store, log, new)).thread() == []


async def test_what_a_run_leaves_reaches_the_next_run_of_its_thread(store: Store, log: Log) -> None:
    first, second = a_single("thread_a"), a_single("thread_a")
    await begin(store, first)
    await store.turns.claim(first.run_id, 1, 2, "somebody", "asked")
    before = await memory(store, log, first, attempt=2)
    assert await before.carry() == {}
    await before.leave({"session": "s1"})
    await before.leave({})  # nothing to leave is no reason to forget
    await store.runs.record(change(first.run_id, 2, "failed"))

    await begin(store, second)
    assert await (await memory(store, log, second)).carry() == {"session": "s1"}
    assert await (await memory(store, log, second, carry={"session": "s2"})).carry() == {"session": "s2"}


async def test_a_continuous_run_carries_only_its_own(store: Store, log: Log, tmp_path: Path) -> None:
    new = a_run(working_dir=str(tmp_path))
    await begin(store, new)
    await store.turns.claim(new.run_id, 1, 1, "somebody", "asked")
    await store.turns.keep_carry(new.run_id, 1, 1, {"session": "s1"})
    assert await (await memory(store, log, new, turn=2)).carry() == {}
