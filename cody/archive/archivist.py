"""Moves what logs have said into the archive, and lets Redis go of it when it is no longer young.

Safe at any point and beside any number of others of its kind: a chunk is added only as the next one, Redis is trimmed
only up to what the archive has, and a crash in between leaves work, not a hole.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cody.archive.packing import pack
from cody.clock import now_ms
from cody.contract.events import TERMINAL, said_at
from cody.metrics import ARCHIVE_FAILURES, ARCHIVE_ROUND, ARCHIVE_WAITING, ARCHIVED_BYTES, ARCHIVED_CHUNKS
from cody.store import ArchivePatience, Chunk, Due, Store
from cody.stream.books import place_of
from cody.stream.entry import Entry
from cody.stream.log import Log

CHUNK_BYTES = 256 << 10
"""Of events in one chunk: what a reader of old entries holds in memory."""
PAGE = 4000
"""Entries read, packed and written together."""
ROUND_SECONDS = 2.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Retention:
    """How much of a log stays in Redis once it is archived, and how long the archive keeps it (None: for good)."""

    young_seconds: float = 3600.0
    young_bytes: int = 16 << 20
    gather_events: int = 500
    gather_seconds: float = 30.0
    archive_seconds: float | None = None


class Archivist:
    """One to a worker; `run` is its task."""

    def __init__(self, store: Store, log: Log, retention: Retention, *, chunk_bytes: int = CHUNK_BYTES) -> None:
        self._store = store
        self._log = log
        self._retention = retention
        self._chunk_bytes = chunk_bytes

    async def run(self) -> None:
        """Go round until cancelled."""
        while True:
            try:
                busy = await self.round()
            except Exception as error:  # noqa: BLE001 - the loop's edge: what fails now is tried again, and said
                ARCHIVE_FAILURES.inc()
                _log.warning("the archive has to wait", exc_info=error)
                busy = False
            await asyncio.sleep(0 if busy else ROUND_SECONDS)

    async def round(self) -> bool:
        """Move everything that is due; whether there may be more at once."""
        now, keep = now_ms(), self._retention
        patience = ArchivePatience(
            events=keep.gather_events,
            gathered_since=now - int(keep.gather_seconds * 1000),
            young_after=now - int(keep.young_seconds * 1000),
        )
        due = await self._store.archive.due(patience)
        ARCHIVE_WAITING.set(len(due))
        moved = [await self._move(log, patience.young_after) for log in due]
        if keep.archive_seconds is not None:
            await self._store.archive.expire(now - int(keep.archive_seconds * 1000))
        ARCHIVE_ROUND.set_to_current_time()
        return any(moved)

    async def _move(self, log: Due, young_after: int) -> bool:
        """Whether anything was moved."""
        archived, whole = log.archived, False
        while True:
            # Of a live run only what is projected: the rest is being written, and read, anyway.
            entries = await self._log.after(log.run_id, archived, PAGE)
            if not log.over:
                entries = [entry for entry in entries if entry.seq <= log.cursor]
            if not entries:
                break
            if not entries[0].follows(archived):
                lost = f"SEQ {archived + 1} to {entries[0].seq - 1}"
                _log.error("%s: %s were lost before they were archived", log.run_id, lost)
                break
            chunks = await asyncio.to_thread(_chunks, archived + 1, entries, self._chunk_bytes)
            whole = entries[-1].type in TERMINAL
            if not await self._store.archive.keep(log.run_id, chunks, whole=whole):
                return False
            ARCHIVED_CHUNKS.inc(len(chunks))
            ARCHIVED_BYTES.inc(sum(len(chunk.data) for chunk in chunks))
            archived = entries[-1].seq
        trimmed = await self._trim(log, young_after)
        return archived > log.archived or trimmed > log.trimmed

    async def _trim(self, log: Due, young_after: int) -> int:
        """Let Redis go of chunks that are old, or too many bytes; gives the SEQ up to which it has."""
        chunks = await self._store.archive.beyond(log.run_id, log.trimmed)
        excess = sum(chunk.size for chunk in chunks) - self._retention.young_bytes
        seq = log.trimmed
        for chunk in chunks:
            if chunk.at >= young_after and excess <= 0:
                break
            seq, excess = chunk.last, excess - chunk.size
        if seq == log.trimmed:
            return seq
        fence = await self._log.fence(log.run_id)
        settled = bool(fence.terminal) and seq == fence.seq
        await self._log.trim(log.run_id, seq, forget=settled)
        await self._store.archive.trimmed(log.run_id, seq, settled=settled)
        return seq


def _chunks(first: int, entries: Sequence[Entry], chunk_bytes: int) -> list[Chunk]:
    """The entries from SEQ `first` on in chunks that follow on each other, also over a `log_gap`."""
    chunks: list[Chunk] = []
    for part in _parts(entries, chunk_bytes):
        chunk = Chunk(
            first=first,
            last=part[-1].seq,
            at=said_at(part[-1].event),
            size=sum(len(entry.event) for entry in part),
            data=pack(part),
            words=max(map(_word, part)),
        )
        chunks.append(chunk)
        first = chunk.last + 1
    return chunks


def _word(entry: Entry) -> int:
    """The number of one of the run's own events; 0 of any other."""
    if entry.type == "log_gap":
        return 0
    writer, number = place_of(entry.event)
    return 0 if writer else number


def _parts(entries: Sequence[Entry], chunk_bytes: int) -> Iterator[list[Entry]]:
    """The entries in parts of about so many bytes."""
    part: list[Entry] = []
    size = 0
    for entry in entries:
        if part and size + len(entry.event) > chunk_bytes:
            yield part
            part, size = [], 0
        part.append(entry)
        size += len(entry.event)
    yield part
