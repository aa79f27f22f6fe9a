"""How much the archive takes, which is not looked at too often."""

import time

from cody.store import ArchiveStore

_FRESH_SECONDS = 60.0
_REST = 100.0
"""How many times as long as a look took its answer is told again: it goes through all chunks."""


class ArchiveSize:
    """Asks the store, and remembers the answer."""

    def __init__(self, archive: ArchiveStore) -> None:
        self._archive = archive
        self._bytes = 0
        self._until = 0.0

    async def bytes(self) -> int:
        """As it was at the last look."""
        began = time.monotonic()
        if began >= self._until:
            self._bytes = await self._archive.size()
            took = time.monotonic() - began
            self._until = began + max(_FRESH_SECONDS, _REST * took)
        return self._bytes
