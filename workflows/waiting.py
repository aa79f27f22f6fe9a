"""Waiting in a workflow, with a limit."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow

SIGNAL_SECONDS = 5.0
"""How long a signal that was accepted may be on its way, before it is asked again whether it still is.

The API withdraws a control whose signal it could not send.
"""


async def wait_up_to(seconds: float, condition: Callable[[], bool]) -> bool:
    """Whether the condition came true in time."""
    try:
        await workflow.wait_condition(condition, timeout=timedelta(seconds=seconds))
    except asyncio.TimeoutError:  # noqa: UP041 - named as Temporal names it
        return False
    return True
