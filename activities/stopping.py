"""Why a turn has to stop early: one place that listens to Temporal, to the worker, to the log and to the clock."""

import asyncio
from collections.abc import Callable
from typing import Any, Literal

from temporalio import activity

from cody.agents.base import Stop

BEAT_SECONDS = 0.5
"""A tenth of the heartbeat timeout; it is also the floor for how fast a cancel arrives."""

Cause = Literal["asked", "timeout", "shutdown", "orphaned", "fenced"]
"""asked: cancel or pause `now`; shutdown: the worker ends, or an operator paused or reset the activity; orphaned: the
workflow is gone; fenced: the log refuses this attempt."""


async def watch_over(
    work: "asyncio.Task[Any]",
    writing: "asyncio.Task[None]",
    stop: Stop,
    timeout_seconds: float,
    carry: Callable[[], dict[str, Any] | None],
) -> None:
    """Heartbeat until `work` is done, and request `stop` when there is a cause for it; the first cause counts.

    With each beat goes what the agent left to be remembered (`carry`), for the attempt after a lost worker.
    """
    shutdown = asyncio.create_task(activity.wait_for_worker_shutdown())
    clock = asyncio.create_task(asyncio.sleep(timeout_seconds))
    causes: dict[asyncio.Task[Any], Cause] = {writing: "fenced", shutdown: "shutdown", clock: "timeout"}
    try:
        while not work.done():
            watched = {work} if stop.cause else {work, *causes}
            try:
                done, _ = await asyncio.wait(watched, timeout=BEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError:
                stop.request(_cancel_cause())
                continue
            if not done:
                activity.heartbeat(*filter(None, [carry()]))
            for task in done - {work}:
                stop.request(causes[task])
    finally:
        shutdown.cancel()
        clock.cancel()
        await asyncio.wait((shutdown, clock))


def _cancel_cause() -> Cause:
    details = activity.cancellation_details()
    if details is None or details.cancel_requested:
        return "asked"
    if details.worker_shutdown or details.paused or details.reset:
        return "shutdown"
    return "orphaned"
