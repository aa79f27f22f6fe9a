"""The runs: accepted once, recorded in order, listed newest first."""

import asyncio

import pytest

from cody.contract.errors import ErrorInfo
from cody.contract.lifecycle import STATUSES, RunStatus
from cody.contract.payloads import CompletionVerdict
from cody.store import Filters, KeyReused, Overtaken, Store
from tests.integration.store.store_stage import AT, a_run, begin, change, opened, row
from tests.parts import new_run_id


async def test_an_accepted_run_is_kept_as_it_was_asked_for(store: Store) -> None:
    new = a_run(epic_id="feature-10", env={"KEY": "wörd"}, budget={"max_tokens": 7}, metadata={"a": "b"})
    accepted, is_new = await store.runs.accept(new)

    assert is_new
    assert accepted.request == new.request
    assert (accepted.run_id, accepted.kind, accepted.status) == (new.run_id, "continuous", "queued")
    assert accepted.trace_context == new.trace_context
    assert (accepted.row["epic_id"], accepted.row["agent"]) == ("feature-10", "command")
    assert await store.runs.get(new.run_id) is None  # nobody was answered yet
    await store.runs.confirm(new.run_id)
    assert (await row(store, new.run_id)).row["confirmed"]


async def test_a_run_that_was_never_started_can_be_forgotten_with_its_key(store: Store) -> None:
    lost, kept = a_run(key="lost"), a_run(key="kept")
    await store.runs.accept(lost)
    await begin(store, kept)
    assert await store.runs.unsettled(AT + 1) == [lost.run_id]
    assert await store.runs.unsettled(AT) == []
    for new in (lost, kept):
        await store.runs.forget(new.run_id)

    assert await store.runs.get(lost.run_id, unconfirmed=True) is None
    assert await store.runs.get(kept.run_id) is not None
    assert [(await store.runs.accept(a_run(key=key)))[1] for key in ("lost", "kept")] == [True, False]


async def test_the_same_key_and_body_give_the_same_run(store: Store) -> None:
    first, again = a_run(key="k", max_turns=3), a_run(key="k", max_turns=3)
    assert (await store.runs.accept(first))[1]
    known, is_new = await store.runs.accept(again)
    assert (known.run_id, is_new) == (first.run_id, False)
    assert await store.runs.get(again.run_id, unconfirmed=True) is None

    with pytest.raises(KeyReused):
        await store.runs.accept(a_run(key="k", max_turns=4))
    assert (await store.runs.accept(a_run(key="other", max_turns=4)))[1]


async def test_what_a_default_would_say_is_the_same_body(store: Store) -> None:
    await store.runs.accept(a_run(key="k"))
    assert not (await store.runs.accept(a_run(key="k", loop_delay_seconds=0.0, turn_attempts=3)))[1]


async def test_a_key_is_forgotten_in_time(store: Store) -> None:
    first = a_run(key="k")
    await store.runs.accept(first)
    await store.runs.expire_keys(AT)
    assert not (await store.runs.accept(a_run(key="k")))[1]
    await store.runs.expire_keys(AT + 1)
    assert (await store.runs.accept(a_run(key="k", max_turns=9)))[1]
    assert await store.runs.get(first.run_id, unconfirmed=True) is not None


async def test_simultaneous_duplicates_are_one_run(database_url: str) -> None:
    async with opened(database_url) as one, opened(database_url) as other:
        stores = [one, other] * 10
        answers = await asyncio.gather(*(each.runs.accept(a_run(key="k")) for each in stores))
        assert len({accepted.run_id for accepted, _ in answers}) == 1
        assert sum(is_new for _, is_new in answers) == 1
        assert len(await one.runs.unsettled(AT + 1)) == 1


async def test_a_page_follows_the_page_before_also_among_runs_of_the_same_moment(store: Store) -> None:
    ids = [await begin(store, a_run(f"run_{n:02}", at=AT + n // 4)) for n in range(11)]
    await store.runs.accept(a_run("run_zz", at=AT + 99))  # not confirmed
    listed: list[str] = []
    before = None
    while True:
        found = await store.runs.page(Filters(limit=3, before=before))
        listed += [run.run_id for run in found[:3]]
        if len(found) <= 3:
            break
        before = (found[2].row["created_at"], found[2].run_id)
    assert listed == ids[::-1]


async def test_a_page_has_one_more_only_if_there_is_one(store: Store) -> None:
    for _ in range(3):
        await begin(store)
    assert [len(await store.runs.page(Filters(limit=limit))) for limit in (2, 3, 4)] == [3, 3, 3]


async def test_listing_by_epic_agent_and_status(store: Store) -> None:
    mine = await begin(store, a_run(epic_id="mine"))
    other = await begin(store, a_run(epic_id="other"), status="queued")
    model = await begin(store, a_run(agent={"kind": "openai", "model": "m"}))

    async def listed(**filters: str) -> set[str]:
        return {run.run_id for run in await store.runs.page(Filters(**filters))}  # type: ignore[arg-type]

    assert await listed(epic_id="mine") == {mine}
    assert await listed(agent="openai") == {model}
    assert await listed(agent="command", status="running") == {mine}
    assert await listed(status="queued") == {other}
    assert await listed(epic_id="nobody") == set()


async def test_a_pending_control_counts_in_the_listing(store: Store) -> None:
    """Also where pages of runs have to be passed over, as only their controls tell what they are."""
    pausing = [await begin(store, a_run(f"run_p{n}", at=AT + n)) for n in range(3)]
    later = [await begin(store, a_run(f"run_q{n}", at=AT + 10 + n)) for n in range(9)]
    for run_id in pausing:
        await store.controls.accept(run_id, "pause", "after_turn", "manual", AT)
    for run_id in later:
        await store.controls.accept(run_id, "cancel", "after_turn", "manual", AT)

    found = await store.runs.page(Filters(status="pausing", limit=2))
    assert [run.run_id for run in found] == pausing[::-1]
    assert {run.status for run in found} == {"pausing"}
    assert await store.runs.page(Filters(status="running")) == []
    assert len(await store.runs.page(Filters(status="cancelling"))) == 9


async def test_what_an_older_state_says_is_not_recorded(store: Store) -> None:
    run_id = await begin(store)
    await store.runs.record(change(run_id, 5, "paused", started_at=AT + 2))
    for version in (1, 4, 5):
        await store.runs.record(change(run_id, version, "running", started_at=AT + 9, at=AT + 99))
    kept = (await row(store, run_id)).row
    assert (kept["status"], kept["version"], kept["started_at"], kept["updated_at"]) == ("paused", 5, AT + 2, AT + 5)
    await store.runs.record(change(run_id, 6, "running"))
    assert ((await row(store, run_id)).status, (await row(store, run_id)).row["started_at"]) == ("running", AT + 2)


async def test_nobody_records_a_run_that_is_not_there(store: Store) -> None:
    assert await store.runs.record(change(new_run_id(), 1, "running")) is None


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
async def test_an_end_is_final(store: Store, status: RunStatus) -> None:
    run_id = await begin(store)
    error = ErrorInfo(code="internal", message="m")
    verdict = CompletionVerdict(detected=True, source="pattern", line="ALL DONE")
    await store.runs.record(change(run_id, 2, status, error=error, completion=verdict))
    for other in STATUSES:
        await store.runs.record(change(run_id, 9, other, at=AT + 99))

    kept = (await row(store, run_id)).row
    assert (kept["status"], kept["version"], kept["finished_at"], kept["pid"]) == (status, 2, AT + 2, None)
    assert ErrorInfo.model_validate_json(kept["error"]) == error
    assert CompletionVerdict.model_validate_json(kept["completion"]) == verdict
    assert run_id not in await store.runs.active()
    assert await store.runs.count_by_status() == {status: 1}


@pytest.mark.parametrize("status", ["completed", "failed"])
async def test_a_cancel_that_was_accepted_comes_before_another_end(store: Store, status: RunStatus) -> None:
    run_id = await begin(store)
    accepted = await store.controls.accept(run_id, "cancel", "after_turn", "manual", AT)
    assert accepted is not None
    cancel = accepted[1][-1].id
    with pytest.raises(Overtaken):
        await store.runs.record(change(run_id, 2, status))
    assert (await row(store, run_id)).row["version"] == 1
    assert (await row(store, run_id)).status == "cancelling"

    await store.runs.record(change(run_id, 2, status, applied_control=cancel))  # it knows the cancel
    assert (await row(store, run_id)).status == status


async def test_a_cancelled_end_is_not_overtaken(store: Store) -> None:
    run_id = await begin(store)
    for action in ("pause", "cancel"):
        await store.controls.accept(run_id, action, "after_turn", "manual", AT)
    await store.runs.record(change(run_id, 2, "cancelled"))
    assert ((await row(store, run_id)).status, (await row(store, run_id)).pending) == ("cancelled", ())


async def test_the_first_baseline_stays(store: Store) -> None:
    run_id = await begin(store)
    assert await asyncio.gather(*(store.runs.begin_log(run_id, text) for text in ("a", "b"))) in (["a"] * 2, ["b"] * 2)


async def test_who_else_works_in_the_directory(store: Store) -> None:
    over = await begin(store, a_run("run_0", at=AT))
    await store.runs.record(change(over, 2, "completed"))
    first = await begin(store, a_run("run_1", at=AT + 1))
    second = await begin(store, a_run("run_2", at=AT + 1))
    elsewhere = await begin(store, a_run("run_3", at=AT + 2, working_dir="/srv/other"))
    third = await begin(store, a_run("run_4", at=AT + 3))
    await store.runs.accept(a_run("run_5", at=AT + 1))  # not confirmed

    shared = [sorted(await store.runs.sharing(run_id)) for run_id in (first, second, elsewhere, third)]
    assert shared == [[], [first], [], [first, second]]


async def test_a_thread_is_known_by_its_runs(store: Store) -> None:
    run_id = await begin(store)
    assert await store.runs.has_thread(f"thread_{run_id}")
    assert not await store.runs.has_thread("thread_nobody")
