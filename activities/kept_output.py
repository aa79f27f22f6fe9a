"""Keep an attempt's whole output, part by part, while it comes."""

import asyncio
from functools import partial

from cody.store import DatabaseGone, TurnStore

PART_BYTES = 1 << 20
FLUSH_SECONDS = 1.0
"""What a lost worker can lose of the kept output; the log has its share of it at once."""
ROOM_BYTES = 64 << 20


class KeptOutput:
    """Gathers raw output and stores it in parts; `run` is its task, owned by the caller."""

    def __init__(self, turns: TurnStore, run_id: str, turn: int, attempt: int) -> None:
        self._keep = partial(turns.keep_output, run_id, turn, attempt)
        self._buffer = bytearray()
        self._part = 0
        self._closed = False
        self._full = asyncio.Event()
        self._saved = asyncio.Event()

    def add(self, chunk: bytes) -> None:
        """Take more output."""
        self._buffer += chunk
        if len(self._buffer) >= PART_BYTES:
            self._full.set()

    @property
    def full(self) -> bool:
        """Whether so much is not stored that more had better wait."""
        return len(self._buffer) > ROOM_BYTES

    async def ready(self) -> None:
        """Return when there is room for more."""
        while self.full:
            self._saved.clear()
            await self._saved.wait()

    async def flush(self) -> None:
        """Return once all that came so far is stored."""
        while self._buffer:
            self._full.set()
            self._saved.clear()
            await self._saved.wait()

    def close(self) -> None:
        """Let `run` return once everything is stored."""
        self._closed = True
        self._full.set()

    async def run(self) -> None:
        """Store what came, every second or megabyte, until closed. While the database is away it waits here."""
        while not (self._closed and not self._buffer):
            try:
                async with asyncio.timeout(FLUSH_SECONDS):
                    await self._full.wait()
            except TimeoutError:
                pass  # a second is over: store what there is
            self._full.clear()
            while self._buffer:
                await self._store(bytes(self._buffer[:PART_BYTES]))

    async def _store(self, part: bytes) -> None:
        while True:
            try:
                await self._keep(self._part, part)
                break
            except DatabaseGone:
                await asyncio.sleep(FLUSH_SECONDS)
        self._part += 1
        del self._buffer[: len(part)]
        self._saved.set()
