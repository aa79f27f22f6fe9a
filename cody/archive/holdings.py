"""What this process has appended and the archive does not have yet: where a log comes from that Redis loses."""

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cody.metrics import HELD_DROPPED
from cody.stream.books import place_of
from cody.stream.entry import Entry

HOLD_BYTES = 64 << 20
"""Of events, of all runs together; what is over it is let go, oldest first, and lost if Redis loses it."""


@dataclass
class _Held:
    entries: deque[Entry] = field(default_factory=deque[Entry])
    writers: set[int] = field(default_factory=set[int])
    """Epochs of the attempts that write in this process: of those it knows all that they have said."""
    doubts: dict[int, set[bytes]] = field(default_factory=dict[int, set[bytes]])
    """By the epoch of their writer: events that were sent, and no answer told whether they were appended."""


class Holdings:
    """Entries by run, in the order they were appended."""

    def __init__(self, limit_bytes: int = HOLD_BYTES) -> None:
        self._limit = limit_bytes
        self._runs: dict[str, _Held] = {}
        self._bytes = 0

    @property
    def size(self) -> int:
        """Bytes of events."""
        return self._bytes

    @property
    def runs(self) -> Collection[str]:
        """The runs of which something is held."""
        return list(self._runs)

    def begins(self, run_id: str, epoch: int) -> None:
        """An attempt writes in this process."""
        self._runs.setdefault(run_id, _Held()).writers.add(epoch)

    def hold(self, run_id: str, entries: Sequence[Entry]) -> None:
        """Keep what was appended."""
        self._runs.setdefault(run_id, _Held()).entries.extend(entries)
        self._bytes += sum(len(entry.event) for entry in entries)
        while self._bytes > self._limit:
            self._drop_oldest()

    def doubt(self, run_id: str, epoch: int, events: Iterable[bytes]) -> None:
        """These may be in the log, and nobody was told."""
        self._runs.setdefault(run_id, _Held()).doubts.setdefault(epoch, set()).update(events)

    def doubts(self, run_id: str) -> Mapping[int, frozenset[bytes]]:
        """What is in doubt, by its writer."""
        held = self._runs.get(run_id)
        return {epoch: frozenset(events) for epoch, events in held.doubts.items()} if held else {}

    @property
    def doubtful(self) -> Collection[str]:
        """The runs of which something is in doubt."""
        return [run_id for run_id, held in self._runs.items() if held.doubts]

    def settle(self, run_id: str, epoch: int, events: Collection[bytes]) -> None:
        """It is known of these whether they are in the log."""
        doubts = self._runs[run_id].doubts if run_id in self._runs else {}
        if epoch in doubts:
            doubts[epoch].difference_update(events)
            if not doubts[epoch]:
                del doubts[epoch]

    def last(self, run_id: str, writer: int) -> int:
        """The newest SEQ that is held of what this writer said in a run; 0 if none is."""
        held = self._runs.get(run_id)
        entries = reversed(held.entries) if held else ()
        return next((entry.seq for entry in entries if place_of(entry.event)[0] == writer), 0)

    def of(self, run_id: str) -> tuple[Sequence[Entry], Collection[int]]:
        """What is held of a run, by SEQ, and whose (by epoch)."""
        held = self._runs.get(run_id)
        return (sorted(held.entries, key=lambda entry: entry.seq), set(held.writers)) if held else ((), ())

    def of_types(self, run_id: str, epoch: int, types: Collection[str]) -> Sequence[Entry]:
        """Those of these types that are held of an attempt."""
        held = self._runs.get(run_id)
        return [entry for entry in held.entries if entry.epoch == epoch and entry.type in types] if held else ()

    def let_go(self, run_id: str, archived: int, *, over: bool) -> None:
        """Entries up to this SEQ are safe; nobody writes any more if the run is `over`."""
        held = self._runs[run_id]
        while held.entries and held.entries[0].seq <= archived:
            self._bytes -= len(held.entries.popleft().event)
        if over and not held.entries and not held.doubts:
            del self._runs[run_id]

    def _drop_oldest(self) -> None:
        """Of the run that has held something for longest: a stream that floods is archived soon, and comes later."""
        run_id = next(run_id for run_id, held in self._runs.items() if held.entries)
        self._bytes -= len(self._runs[run_id].entries.popleft().event)
        HELD_DROPPED.inc()
