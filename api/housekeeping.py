"""What the API settles in the background: promises that a crash or an outage left open."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from api.desk import Desk

_log = logging.getLogger(__name__)


async def keep_house(desk: Desk) -> None:
    """Settle, each thing in its rhythm, until cancelled."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_every(3, desk.resend_controls))
        tasks.create_task(_every(15, desk.close_dead_runs))
        tasks.create_task(_every(20, desk.settle_starts))
        tasks.create_task(_every(3600, desk.expire_keys))


async def _every(seconds: float, do: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await do()
        except Exception as error:  # noqa: BLE001 - the loop's edge: what fails now is tried again, and said
            _log.warning("%s has to wait", do.__name__, exc_info=error)
