"""One entry of a log: where it stands, what type it is, its JSON, and its SSE frame."""

import json
from collections.abc import Sequence
from typing import Final

from cody.contract.cursor import Cursor
from cody.contract.events import PAYLOADS

_NAMES: Final = {name.encode(): name for name in PAYLOADS}
"""One text per type, not one per entry."""


class Entry:
    """An event as it travels: bytes, with just enough beside them to route and frame it without parsing."""

    __slots__ = ("_frame", "epoch", "event", "seq", "type")

    def __init__(self, seq: int, epoch: int, type_: str, event: bytes) -> None:
        self.seq = seq
        self.epoch = epoch
        self.type = type_
        self.event = event
        self._frame: bytes | None = None

    @classmethod
    def of(cls, entry_id: bytes, fields: Sequence[bytes]) -> "Entry":
        """What Redis gave: the id, and names and values by turns."""
        seq, _, epoch = entry_id.partition(b"-")
        type_, event = (fields[1], fields[3]) if fields[0] == b"type" else (fields[3], fields[1])
        return cls(int(seq), int(epoch), _NAMES.get(type_) or type_.decode(), event)

    @property
    def cursor(self) -> Cursor:
        """The entry's id."""
        return Cursor(self.seq, self.epoch)

    def follows(self, seq: int) -> bool:
        """Whether nothing lies between that SEQ and this entry, but what a `log_gap` says is gone."""
        if self.seq <= seq + 1:
            return True
        return self.type == "log_gap" and json.loads(self.event)["payload"]["from"] <= seq + 1

    @property
    def frame(self) -> bytes:
        """The SSE frame in LF; made once, however many clients get it."""
        if self._frame is None:
            self._frame = b"id: %d-%d\nevent: %s\ndata: %s\n\n" % (self.seq, self.epoch, self.type.encode(), self.event)
        return self._frame
