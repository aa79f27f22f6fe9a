"""Who is away is asked by one at a time, so that a crowd does not wait for it one after the other."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from cody.stream.connection import RedisGone

PATIENCE_SECONDS = 1.0
"""How long Redis may take to answer before it counts as away."""


class Outages:
    """Whether each server of Redis gave its last answer in time, by its name."""

    def __init__(self) -> None:
        self._away: dict[str, bool] = {}
        """Those that did not; whether somebody is asking again just now."""

    @asynccontextmanager
    async def asking(self, server: str) -> AsyncGenerator[None]:
        """Ask it something in the block: TimeoutError after `PATIENCE_SECONDS`.

        At once if it is away, and another is finding out already whether it is back. Any other answer than that it is
        away (RedisGone) says that it is there, be it an error.
        """
        away = server in self._away
        if away:
            if self._away[server]:
                raise TimeoutError("Redis is away, and is being asked already")
            self._away[server] = True
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                yield
            away = False
        except (TimeoutError, *RedisGone):
            away = True
            raise
        except Exception:
            away = False
            raise
        finally:
            if away:
                self._away[server] = False
            else:
                self._away.pop(server, None)
