"""Heartbeats of an activity that has nothing to tell by them: a worker that is frozen with it is missed in seconds."""

import asyncio
from typing import Final

from temporalio import activity

BEAT_SECONDS: Final = 2.0


async def beat() -> None:
    """Beat until cancelled; a task beside the work."""
    while True:
        await asyncio.sleep(BEAT_SECONDS)
        activity.heartbeat()
