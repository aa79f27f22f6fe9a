"""The end of an answer's stream."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any, Final

from cody.agents.model.protocol import ProviderFailed

DRAIN_SECONDS: Final = 0.25


async def drain(events: AsyncGenerator[Any]) -> None:
    """Read what stands behind the end, usually nothing: a connection can serve again only when its answer was read."""
    with suppress(TimeoutError, ProviderFailed):  # the answer is whole, whatever becomes of its connection
        async with asyncio.timeout(DRAIN_SECONDS):
            async for _ in events:
                pass
