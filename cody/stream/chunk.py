"""What follows a place in a log as SSE frames in one piece: what one send carries."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cody.contract.events import TERMINAL
from cody.stream.entry import Entry

CHUNK_BYTES = 64 << 10
"""Frames are joined up to here: as much as a transport takes before it says that its client is slow."""

Types = frozenset[str] | None
"""Which events a reader wants to see; None is all of them."""


class Chunk(NamedTuple):
    """Frames, and where their reader stands when it has them."""

    frames: bytes
    """Empty where nothing was wanted."""
    length: int
    """Entries that it is made from, also of those that nobody wanted."""
    seq: int
    """Of the last one."""
    over: bool
    """The run's end is in it."""


def chunk_of(entries: Sequence[Entry], start: int, types: Types) -> Chunk:
    """The wanted ones of `entries[start:]`, of which there is at least one, up to `CHUNK_BYTES`."""
    frames, size, end = list[bytes](), 0, start
    while end < len(entries) and size < CHUNK_BYTES:
        entry = entries[end]
        end += 1
        if types is None or entry.type in types:
            frames.append(entry.frame)
            size += len(frames[-1])
    last = entries[end - 1]
    return Chunk(b"".join(frames), end - start, last.seq, last.type in TERMINAL)


def chunks_of(entries: Sequence[Entry], types: Types) -> Iterator[Chunk]:
    """All of them, one chunk after the other."""
    start = 0
    while start < len(entries):
        chunk = chunk_of(entries, start, types)
        yield chunk
        start += chunk.length
