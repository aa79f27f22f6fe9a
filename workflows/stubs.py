"""The activities as a workflow sees them: what goes in and out, on which queue, how long, and what is tried again.

None of them is ever given up for a part that is away: the run waits for it. A failure of the agent is a report, not
an exception, so only a lost worker or a fault of ours is repeated here.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy

with workflow.unsafe.imports_passed_through():
    from cody.contract import tasks as t

_PATIENT = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), backoff_coefficient=2.0, maximum_interval=timedelta(seconds=5)
)
_URGENT = Priority(priority_key=1)
"""Somebody waits for a run to stop: what many others have to tell of their beginnings can wait behind it."""
_SHORT = timedelta(seconds=30)
_HEARTBEAT = timedelta(seconds=5)
_MARGIN = timedelta(minutes=5)
"""What a turn may take beyond its own timeout: the prompt, the kill, the last words while Redis is slow."""


def take_turn(task: t.TurnTask, turn_timeout: timedelta) -> workflow.ActivityHandle[t.TurnReport]:
    """Run the agent once; a lost worker or a deploy makes it the next attempt."""
    return workflow.start_activity(
        t.TAKE_TURN,
        task,
        result_type=t.TurnReport,
        task_queue=t.RUN_QUEUE,
        start_to_close_timeout=turn_timeout + _MARGIN,
        heartbeat_timeout=_HEARTBEAT,
        retry_policy=_PATIENT,
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


async def project_turn(task: t.ProjectTask) -> t.ProjectReport:
    """Fold and save a turn up to the end of an attempt that could not do so itself."""
    return await workflow.execute_activity(
        t.PROJECT_TURN,
        task,
        result_type=t.ProjectReport,
        task_queue=t.PROJECT_QUEUE,
        start_to_close_timeout=timedelta(hours=1),
        heartbeat_timeout=timedelta(seconds=10),
        retry_policy=_PATIENT,
    )


async def record(task: t.RecordTask) -> t.RecordReport:
    """Write the run's state down and append its events."""
    return await workflow.execute_activity(
        t.RECORD,
        task,
        result_type=t.RecordReport,
        task_queue=t.RECORD_QUEUE,
        start_to_close_timeout=_SHORT,
        heartbeat_timeout=_HEARTBEAT,
        retry_policy=_PATIENT,
        priority=Priority.default if task.status in ("queued", "running") else _URGENT,
    )


async def end_turn(task: t.EndTask) -> t.EndReport:
    """Make sure that the turn's newest attempt has its end."""
    return await workflow.execute_activity(
        t.END_TURN,
        task,
        result_type=t.EndReport,
        task_queue=t.RECORD_QUEUE,
        start_to_close_timeout=_SHORT,
        heartbeat_timeout=_HEARTBEAT,
        retry_policy=_PATIENT,
        priority=_URGENT,
    )
