"""What the API settles in the background: promises that a crash or an outage left open."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from api.desk import Desk

_SOON_SECONDS = 6.0
"""After the start: what an API that crashed had accepted and did not signal is overdue by then."""
_ROUND_SECONDS = 30.0
"""A workflow that was terminated is to be found within a minute, and nothing else is in more of a hurry: a control
whose signal cannot be sent is refused, so what waits was left by a crash, or its workflow has not come to it yet, and
more signals are more for it to do.
"""
_AGAIN_SECONDS = 5.0
"""After a failure: what Temporal or the database was away for is done as soon as it is back."""
_log = logging.getLogger(__name__)


async def keep_house(desk: Desk) -> None:
    """Settle, each thing in its rhythm, until cancelled."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_every(_ROUND_SECONDS, desk.resend_controls, first=_SOON_SECONDS))
        tasks.create_task(_every(_ROUND_SECONDS, desk.close_dead_runs))
        tasks.create_task(_every(_ROUND_SECONDS, desk.settle_starts))
        tasks.create_task(_every(3600, desk.expire_keys))


async def _every(seconds: float, do: Callable[[], Awaitable[None]], first: float | None = None) -> None:
    """Do it every so often, `first` after so many seconds if that is told."""
    rest = seconds if first is None else first
    while True:
        await asyncio.sleep(rest)
        try:
            await do()
        except Exception as error:  # noqa: BLE001 - the loop's edge: what fails now is tried again, and said
            _log.warning("%s has to wait", do.__name__, exc_info=error)
            rest = min(seconds, _AGAIN_SECONDS)
        else:
            rest = seconds
