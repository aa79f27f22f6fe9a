"""Whether the parts work: each is asked by doing a little of what the service needs of it, and not too often."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

PATIENCE_SECONDS = 2.0
"""For each part's answer. All are asked at once, so no part makes a caller wait longer than this."""
FRESH_SECONDS = 1.0
"""How long what was found is told again, so that a crowd of probes costs one look."""
_log = logging.getLogger(__name__)

Check = Callable[[], Awaitable[None]]
"""Raises whatever it likes if the part does not do its work; it may be cancelled."""


class Readiness:
    """Looks at the parts (name → check) when it is asked."""

    def __init__(
        self,
        checks: Mapping[str, Check],
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        fresh_seconds: float = FRESH_SECONDS,
    ) -> None:
        self._checks = checks
        self._patience_seconds = patience_seconds
        self._fresh_seconds = fresh_seconds
        self._one_look = asyncio.Lock()
        self._found: Mapping[str, Exception | None] = {}
        self._until = 0.0

    async def look(self) -> Mapping[str, Exception | None]:
        """Each part, and what is wrong with it, if anything; at most `fresh_seconds` old."""
        async with self._one_look:
            if time.monotonic() >= self._until:
                found = await asyncio.gather(*map(self._fault, self._checks.values()))
                self._tell(dict(zip(self._checks, found, strict=True)))
                self._until = time.monotonic() + self._fresh_seconds
        return self._found

    def _tell(self, found: Mapping[str, Exception | None]) -> None:
        """A line for each part that went or came back since the last look."""
        for name, error in found.items():
            if error is not None and self._found.get(name) is None:
                _log.warning("%s is down: %s", name, error)
            elif error is None and self._found.get(name) is not None:
                _log.warning("%s is back", name)
        self._found = found

    async def _fault(self, check: Check) -> Exception | None:
        try:
            async with asyncio.timeout(self._patience_seconds):
                await check()
        except TimeoutError:
            return TimeoutError(f"no answer for {self._patience_seconds:g} s")
        except Exception as error:  # noqa: BLE001 - whatever it is, the part does not work, and that is told
            return error
        return None
