"""The controls: a verdict and what follows from it are one transaction, and nothing accepted is lost."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cody.contract.lifecycle import ACTIONS, STATUSES, Action, RunStatus, transition
from cody.store import IllegalControl, Overtaken, Store
from tests.integration.store.store_stage import AT, a_run, begin, change, opened, row


async def accept(store: Store, run_id: str, action: Action, at: int = AT) -> tuple[RunStatus, list[int]]:
    """The status from now on, and the ids of all controls to signal."""
    accepted = await store.controls.accept(run_id, action, "after_turn", "manual", at)
    assert accepted is not None
    status, controls = accepted
    return status, [control.id for control in controls]


async def test_an_accepted_control_is_in_the_next_snapshot_and_in_the_next_verdict(store: Store) -> None:
    run_id = await begin(store)
    status, first = await accept(store, run_id, "pause")
    assert (status, (await row(store, run_id)).status) == ("pausing", "pausing")
    status, both = await accept(store, run_id, "resume")
    assert (status, (await row(store, run_id)).status) == ("running", "running")
    assert both[:-1] == first
    with pytest.raises(IllegalControl) as refused:
        await accept(store, run_id, "resume")
    assert refused.value.status == "running"
    assert [control.action for control in (await row(store, run_id)).pending] == ["pause", "resume"]


async def test_a_control_keeps_what_was_said_with_it(store: Store) -> None:
    run_id = await begin(store)
    accepted = await store.controls.accept(run_id, "pause", "now", "lunch", AT + 7)
    assert accepted is not None
    (control,) = (await row(store, run_id)).pending
    assert control == accepted[1][0]
    assert (control.mode, control.reason, control.requested_at) == ("now", "lunch", AT + 7)


async def test_only_a_run_that_is_known_can_be_controlled(store: Store) -> None:
    unconfirmed = a_run()
    await store.runs.accept(unconfirmed)
    assert await store.controls.accept("run_nobody", "pause", "now", "manual", AT) is None
    assert await store.controls.accept(unconfirmed.run_id, "pause", "now", "manual", AT) is None


async def test_one_of_two_simultaneous_resumes_is_accepted(database_url: str) -> None:
    async with opened(database_url) as one, opened(database_url) as other:
        for _ in range(10):
            run_id = await begin(one, status="paused")
            both = (accept(each, run_id, "resume") for each in (one, other))
            answers = await asyncio.gather(*both, return_exceptions=True)
            accepted = [answer for answer in answers if isinstance(answer, tuple)]
            (refused,) = (answer for answer in answers if isinstance(answer, IllegalControl))
            assert (len(accepted), refused.status) == (1, "running")
            assert len((await row(one, run_id)).pending) == 1


async def test_what_the_workflow_applied_is_pending_no_more(store: Store) -> None:
    run_id = await begin(store)
    _, (pause,) = await accept(store, run_id, "pause")
    _, (_, resume) = await accept(store, run_id, "resume")
    await store.runs.record(change(run_id, 2, "pausing", applied_control=pause))
    assert [control.id for control in (await row(store, run_id)).pending] == [resume]
    await store.runs.record(change(run_id, 2, "pausing", applied_control=resume))  # older, but it knows more controls
    assert (await row(store, run_id)).pending == ()
    await store.runs.record(change(run_id, 3, "running", applied_control=resume))
    assert (await row(store, run_id)).status == "running"


async def test_another_runs_controls_are_left_alone(store: Store) -> None:
    mine, other = await begin(store), await begin(store)
    await accept(store, other, "pause")
    _, (cancel,) = await accept(store, mine, "cancel")
    await store.runs.record(change(mine, 2, "cancelled", applied_control=cancel))
    assert (await row(store, other)).status == "pausing"


async def test_a_control_that_was_withdrawn_gives_its_number_to_nobody(store: Store) -> None:
    run_id = await begin(store)
    _, (first,) = await accept(store, run_id, "pause")
    await store.controls.withdraw(first)
    assert (await row(store, run_id)).status == "running"
    _, (second,) = await accept(store, run_id, "pause")
    assert second > first


async def test_what_waits_too_long_is_overdue_with_what_is_behind_it(store: Store) -> None:
    old, young = await begin(store), await begin(store)
    _, first = await accept(store, old, "pause", AT)
    _, both = await accept(store, old, "resume", AT + 50)
    await accept(store, young, "pause", AT + 50)
    assert await store.controls.overdue(AT) == {}
    overdue = await store.controls.overdue(AT + 10)
    assert {run_id: [control.id for control in controls] for run_id, controls in overdue.items()} == {old: both}
    assert both[:1] == first


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(status=st.sampled_from(STATUSES[:5]), actions=st.lists(st.sampled_from(ACTIONS), max_size=6))
async def test_verdicts_follow_the_table_whatever_is_pending(
    store: Store, status: RunStatus, actions: list[Action]
) -> None:
    run_id = await begin(store, status=status)
    for action in actions:
        after = transition(status, action)
        if after is None:
            with pytest.raises(IllegalControl) as refused:
                await accept(store, run_id, action)
            assert refused.value.status == status
        else:
            assert (await accept(store, run_id, action))[0] == after
            status = after
        assert (await row(store, run_id)).status == status


async def test_a_number_that_was_never_given_applies_nothing(store: Store) -> None:
    """As a signal by hand can name any; the workflow learns of it from `last_control`."""
    run_id = await begin(store)
    _, (pause,) = await accept(store, run_id, "pause")
    recorded = await store.runs.record(change(run_id, 2, "running", applied_control=pause + 1))
    assert recorded is not None
    assert recorded.last_control == pause
    assert (await row(store, run_id)).status == "pausing"

    await accept(store, run_id, "cancel")
    with pytest.raises(Overtaken) as overtaken:
        await store.runs.record(change(run_id, 3, "completed", applied_control=10**15))
    assert overtaken.value.run.last_control == pause + 1
    await store.runs.record(change(run_id, 3, "cancelled", applied_control=pause + 1))
    assert ((await row(store, run_id)).status, (await row(store, run_id)).pending) == ("cancelled", ())
