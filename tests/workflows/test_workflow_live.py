"""The scenarios on a live server, with every workflow task replayed from its beginning: no cache, in the sandbox."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from tests.workflows import scenarios
from tests.workflows.record import histories_of
from tests.workflows.stack import Stack, running_parts, running_stack

TURN = ["turn_started", "response_start", "response_done", "turn_completed"]
ABORTED = ["turn_started", "response_start", "response_done", "turn_aborted_by_user"]
FAILED = ["turn_started", "response_start", "response_error", "turn_failed"]
BEGUN = ["run_queued", "run_started"]

DECIDED = {
    "completed": [
        *BEGUN, "turn_started", "response_start", "log_updated", "response_done", "turn_completed",
        "turn_started", "response_start", "log_updated", "response_done", "turn_completed",
        "turn_started", "response_start", "log_updated", "completion_detected", "response_done", "turn_completed",
        "run_completed",
    ],
    "cancelled_while_paused": [*BEGUN[:1], "run_paused", "run_cancelling", "run_cancelled"],
    "paused_before_it_was_seen": [*BEGUN[:1], "run_paused", *TURN, "run_completed"],
    "failed_and_retried": [*BEGUN, *FAILED, *TURN, *FAILED, *FAILED, "run_failed"],
    "told_to_wait": [
        *BEGUN, *FAILED, "turn_started", "response_start", "item_start", "item_delta", "item_done", "usage_update",
        "response_done", "turn_completed", "run_completed",
    ],
    "continued_as_new": [*BEGUN, *TURN * 12, "run_completed"],
}  # fmt: skip
"""Each scenario's events in order, but for those that a signal brings in at a moment of its own."""

BY_SIGNAL = {"run_pausing", "run_resumed", "warning", "run_started"}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[str, str]]:
    with running_parts(tmp_path_factory.mktemp("parts") / "parts") as parts:
        yield parts


@pytest.fixture
async def stack(parts: tuple[str, str], tmp_path: Path) -> AsyncGenerator[Stack]:
    async with running_stack(tmp_path, *parts, cached_workflows=0) as stack:
        yield stack


@pytest.mark.parametrize("name", DECIDED)
async def test_the_whole_order(name: str, stack: Stack):
    run = await scenarios.SCENARIOS[name](stack)
    expected = [type_ for type_ in DECIDED[name] if type_ not in BY_SIGNAL]
    assert [type_ for type_ in await stack.types(run) if type_ not in BY_SIGNAL] == expected


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("paused_and_resumed", ["run_paused", "run_resumed", *TURN, "run_completed"]),
        ("paused_now", ["response_done", "turn_aborted_by_user", "run_paused", "run_resumed", *TURN, "run_completed"]),
        ("cancelled_mid_turn", ["run_cancelling", *ABORTED[2:], "run_cancelled"]),
        ("cancelled_in_temporal", ["run_cancelling", *ABORTED[2:], "run_cancelled"]),
    ],
)
async def test_how_a_controlled_run_ends(name: str, ends: list[str], stack: Stack):
    run = await scenarios.SCENARIOS[name](stack)
    types = await stack.types(run)
    assert types[: len(BEGUN)] == BEGUN
    assert types[-len(ends) :] == ends


async def test_a_run_is_queued_before_anything_happens_to_it(stack: Stack):
    run = await scenarios.paused_before_it_was_seen(stack)
    begun = ["run_queued", "run_pausing", "run_paused", "run_resumed", "run_started"]
    assert (await stack.types(run))[: len(begun)] == begun


async def test_a_run_that_waits_for_a_place_says_that_it_has_begun(parts: tuple[str, str], tmp_path: Path):
    async with running_stack(tmp_path, *parts, max_turns=1) as stack:
        first = await stack.start("sleep 1000")
        await stack.has_pid(first)
        waiting = await stack.start("true", max_turns=1)
        await stack.reaches(waiting, "running")
        assert (await stack.get(waiting)).row["current_turn"] == 0
        await stack.control(first, "cancel")
        await stack.reaches(waiting, "completed")
        assert await stack.types(waiting) == [*BEGUN, *TURN, "run_completed"]


async def test_a_signal_out_of_place_changes_nothing_but_adds_a_warning(stack: Stack):
    run = await scenarios.continued_as_new(stack)
    assert (await stack.types(run)).count("warning") == 1


async def test_a_run_continues_as_new_between_its_turns(stack: Stack):
    run = await scenarios.continued_as_new(stack)
    assert len(await histories_of(stack.client, run)) > 1
    assert (await stack.get(run)).row["turns"] == 12


async def test_a_number_made_up_by_hand_does_not_make_the_controls_of_the_api_old(stack: Stack):
    run = await stack.start("[ -e go ] || exec sleep 600", max_turns=1)
    await stack.has_pid(run)
    await stack.client.get_workflow_handle(run).signal("pause", {"mode": "now", "control_id": 10**12})
    await stack.reaches(run, "paused")
    row = await stack.get(run)
    (stack.folder / row.row["working_dir"] / "go").touch()
    await stack.control(run, "resume")
    await stack.reaches(run, "completed")


async def test_what_ends_a_run_goes_ahead_of_what_others_begin_with(stack: Stack):
    run = await scenarios.SCENARIOS["cancelled_mid_turn"](stack)
    (history,) = await histories_of(stack.client, run)
    scheduled = [event.activity_task_scheduled_event_attributes for event in history.events]
    assert {task.activity_type.name for task in scheduled if task.priority.priority_key} == {"record", "end_turn"}
