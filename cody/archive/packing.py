"""How entries lie in a chunk: one a line, `SEQ-EPOCH type event`, compressed; an event is JSON on one line already."""

import zlib
from collections.abc import Sequence

from cody.stream.entry import Entry

_LEVEL = 6
"""Of zlib: events are much alike, and are packed once."""


def pack(entries: Sequence[Entry]) -> bytes:
    """Entries → a chunk's data."""
    lines = [b"%d-%d %s %s" % (entry.seq, entry.epoch, entry.type.encode(), entry.event) for entry in entries]
    return zlib.compress(b"\n".join(lines), _LEVEL)


def unpack(data: bytes) -> list[Entry]:
    """A chunk's data → entries."""
    return [_entry(line) for line in zlib.decompress(data).split(b"\n")]


def _entry(line: bytes) -> Entry:
    place, type_, event = line.split(b" ", 2)
    seq, _, epoch = place.partition(b"-")
    return Entry(int(seq), int(epoch), type_.decode(), event)
