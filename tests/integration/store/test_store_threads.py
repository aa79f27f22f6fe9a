"""The threads: one run at a time, in order, and what a turn leaves for the next one."""

import asyncio
import json
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, column, insert, select, table

from cody.contract.responses import Response
from cody.fold import Changes, Checkpoint
from cody.store import Database, KeyReused, NewRun, Projection, Store, ThreadBusy, tables
from cody.store.upgrade import alembic_config
from tests.integration.store.store_stage import AT, a_single, begin, change, opened, row


async def end(store: Store, run_id: str, status: Any = "completed") -> None:
    await store.runs.record(change(run_id, 2, status))


async def answer(store: Store, run_id: str, thread_id: str, turn: int = 1, text: str = "") -> None:
    """A turn of the run is done: its prompt and its document are there."""
    await store.turns.claim(run_id, turn, 1, "somebody", f"{text or run_id} asked")
    response_id = f"resp_{run_id}_{turn}"
    response = Response(
        id=response_id, run_id=run_id, turn=turn, attempt=1, turn_id=f"turn_{run_id}_{turn}", thread_id=thread_id,
        model_id="m", provider_id="codex", created_at=AT, updated_at=AT, status="complete",
    )  # fmt: skip
    item = {"type": "message", "id": "m", "origin": "agent", "content": f"{text or run_id} answered"}
    items = Response.model_validate({**response.model_dump(), "output_items": [item]}).output_items
    checkpoint = Checkpoint(cursor=f"{turn}-{turn * 1000 + 1}")
    changes = Changes(emptied=False, items=list(enumerate(items)))
    assert await store.responses.save(Projection(run_id, turn, response, checkpoint, changes, None, AT))


async def turn(store: Store, new: NewRun, carry: dict[str, Any] | None = None, status: Any = "completed") -> str:
    """A whole run of one turn, which left something or not."""
    run_id = await begin(store, new)
    await answer(store, run_id, new.thread_id)
    if carry is not None:
        await store.turns.keep_carry(run_id, 1, 1, carry)
    await end(store, run_id, status)
    return run_id


async def test_a_thread_takes_one_run_at_a_time(store: Store) -> None:
    first = await begin(store, a_single("thread_a"), "queued")
    for _ in range(2):
        with pytest.raises(ThreadBusy) as busy:
            await store.runs.accept(a_single("thread_a"))
        assert busy.value.run_id == first
    for status in ("running", "pausing", "paused", "cancelling"):
        await store.runs.record(change(first, 1, status))
        with pytest.raises(ThreadBusy):
            await store.runs.accept(a_single("thread_a"))
    assert (await store.runs.accept(a_single("thread_b")))[1]
    await end(store, first, "cancelled")
    assert (await store.runs.accept(a_single("thread_a")))[1]


async def test_a_continuous_run_has_its_thread_to_itself_too(store: Store) -> None:
    run_id = await begin(store)
    with pytest.raises(ThreadBusy) as busy:
        await store.runs.accept(a_single(f"thread_{run_id}"))
    assert busy.value.run_id == run_id
    await end(store, run_id)
    assert (await store.runs.accept(a_single(f"thread_{run_id}")))[1]


async def test_a_repeated_start_is_not_in_its_own_way(store: Store) -> None:
    first, is_new = await store.runs.accept(a_single("thread_a", key="k"))
    assert is_new
    again, is_new = await store.runs.accept(a_single("thread_a", key="k"))
    assert (again.run_id, is_new) == (first.run_id, False)
    with pytest.raises(KeyReused):
        await store.runs.accept(a_single("thread_a", key="k", prompt="Something else."))
    with pytest.raises(ThreadBusy):
        await store.runs.accept(a_single("thread_a", key="another"))
    await begin(store, a_single("thread_b"))
    with pytest.raises(ThreadBusy):
        await store.runs.accept(a_single("thread_b", key="fresh"))
    assert await store.runs.known(a_single("thread_b", key="fresh")) is None


async def test_a_start_that_never_was_frees_its_thread(store: Store) -> None:
    lost = a_single("thread_a")
    await store.runs.accept(lost)
    with pytest.raises(ThreadBusy):
        await store.runs.accept(a_single("thread_a"))
    await store.runs.forget(lost.run_id)
    assert (await store.runs.accept(a_single("thread_a")))[1]


async def test_of_simultaneous_starts_one_has_the_thread(database_url: str) -> None:
    async with opened(database_url) as one, opened(database_url) as other:
        starts = (each.runs.accept(a_single("thread_a")) for each in [one, other] * 10)
        answers = await asyncio.gather(*starts, return_exceptions=True)
    accepted = [given for given in answers if isinstance(given, tuple)]
    refused = [given for given in answers if isinstance(given, ThreadBusy)]
    assert (len(accepted), len(refused)) == (1, 19)
    assert {busy.run_id for busy in refused} == {accepted[0][0].run_id}


async def test_a_thread_is_in_order_whatever_the_clocks_said(store: Store) -> None:
    ids = [await turn(store, a_single("thread_a", at=at)) for at in (AT + 500, AT, AT + 501, AT + 400)]
    assert [response.run_id for response in await store.threads.responses("thread_a")] == ids
    accepted = [(await row(store, run_id)).row["created_at"] for run_id in ids]
    assert accepted == [AT + 500, AT + 501, AT + 502, AT + 503]


async def test_an_exchange_is_what_was_asked_last_and_what_was_answered(store: Store) -> None:
    first = await turn(store, a_single("thread_a", "run_z"))
    second = await begin(store, a_single("thread_a", "run_a"))
    await answer(store, second, "thread_a", 2, "two")
    await answer(store, second, "thread_a", 1, "one")
    await store.turns.claim(second, 1, 2, "somebody else", "asked again")
    await turn(store, a_single("thread_b"))

    told = [(each.prompt, each.response.turn) for each in await store.threads.exchanges("thread_a")]
    assert told == [(f"{first} asked", 1), ("asked again", 1), ("two asked", 2)]
    others = await store.threads.exchanges("thread_a", but=(second, 1))
    assert [(each.response.run_id, each.response.turn) for each in others] == [(first, 1), (second, 2)]
    assert await store.threads.exchanges("thread_nobody") == []


async def test_a_thread_of_thousands_of_turns_is_whole(store: Store) -> None:
    """More than a query may name at once."""
    run_id = await begin(store, a_single("thread_a"))
    await answer(store, run_id, "thread_a", 1)
    count = 33_000

    def copy(connection: Connection) -> None:
        response = connection.execute(select(tables.responses)).mappings().one()
        item = connection.execute(select(tables.items)).mappings().one()
        header = json.loads(response["header"])
        each = [(f"resp_{turn}", turn, json.dumps({**header, "turn": turn})) for turn in range(2, count + 1)]
        copies = [{**response, "id": id_, "turn": turn, "header": header} for id_, turn, header in each]
        connection.execute(tables.responses.insert(), copies)
        connection.execute(tables.items.insert(), [{**item, "response_id": id_} for id_, _, _ in each])

    await store.database.write(copy)
    found = await store.threads.responses("thread_a")
    assert [response.turn for response in found] == list(range(1, count + 1))
    assert all(len(response.output_items) == 1 for response in found)


async def carried(store: Store, agent: str = "codex", working_dir: str = "/srv/project") -> dict[str, Any]:
    return await store.threads.carry("thread_a", agent=agent, working_dir=working_dir)


async def test_a_run_goes_on_with_what_the_last_turn_left(store: Store) -> None:
    assert await carried(store) == {}
    await turn(store, a_single("thread_a"), {"session": "s1"})
    assert await carried(store) == {"session": "s1"}
    await turn(store, a_single("thread_a"), {"session": "s2"}, "failed")
    assert await carried(store) == {"session": "s2"}
    await turn(store, a_single("thread_a"), None, "cancelled")  # it never came so far as to have a session
    assert await carried(store) == {"session": "s2"}
    await turn(store, a_single("thread_b"), {"session": "another thread's"})
    assert await carried(store) == {"session": "s2"}


async def test_what_the_newest_attempt_of_the_newest_turn_left_counts(store: Store) -> None:
    run_id = await begin(store, a_single("thread_a"))
    for turn_number, attempt in ((1, 1), (2, 1), (2, 10), (2, 9)):
        await store.turns.claim(run_id, turn_number, attempt, "somebody", "")
        await store.turns.keep_carry(run_id, turn_number, attempt, {"session": f"{turn_number}.{attempt}"})
    assert await carried(store) == {"session": "2.10"}


async def test_a_session_is_for_its_own_kind_of_agent_in_its_own_place(store: Store) -> None:
    await turn(store, a_single("thread_a"), {"session": "s1"})
    assert await carried(store, "claude-code") == {}
    assert await carried(store, working_dir="/srv/other") == {}


async def test_a_session_that_does_not_know_of_a_later_turn_is_not_gone_on_with(store: Store) -> None:
    await turn(store, a_single("thread_a"), {"session": "s1"})
    await turn(store, a_single("thread_a", agent={"kind": "openai", "model": "m"}))
    assert await carried(store) == {}
    await turn(store, a_single("thread_a"), {"session": "s2"})
    assert await carried(store) == {"session": "s2"}


async def test_runs_that_were_let_onto_one_thread_before_go_on_in_threads_of_their_own(empty_database_url: str) -> None:
    database = Database(empty_database_url)

    def an_old_one(connection: Connection) -> None:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for run_id, at, finished in (("run_a", 1, None), ("run_b", 2, None), ("run_c", 2, None), ("run_d", 3, 4)):
            names = ("current_turn", "attempt", "turns", "tokens", "prompt_tokens", "completion_tokens", "cursor_seq")
            there = dict.fromkeys(names, 0) | {"request": "{}", "trace_context": "{}", "agent": "command"}
            there |= {"kind": "single", "status": "running", "confirmed": True, "version": 1, "thread_id": "t"}
            there |= {"id": run_id, "created_at": at, "finished_at": finished, "updated_at": at}
            known = [tables.runs.c[name] for name in there]  # the others are younger than that schema
            connection.execute(insert(table("runs", *(column(each.name, each.type) for each in known))).values(there))

    await database.write(an_old_one)
    await database.close()
    async with opened(empty_database_url) as store:
        threads = {
            run_id: (await row(store, run_id)).row["thread_id"] for run_id in ("run_a", "run_b", "run_c", "run_d")
        }
        assert threads == {"run_a": "run_a", "run_b": "run_b", "run_c": "t", "run_d": "t"}
        with pytest.raises(ThreadBusy):
            await store.runs.accept(a_single("t"))
