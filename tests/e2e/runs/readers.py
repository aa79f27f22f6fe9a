"""An agent that talks for a while, and clients that read what runs say while something breaks under them."""

import threading
from collections.abc import Iterable

from tests.e2e.runs.checks import TERMINAL, check_ended, types
from tests.parts import PATIENCE_SECONDS
from tests.service import Frame, Run

CHATTER = """
for n in $(seq 60); do
    echo "line $n"
    echo '{"__cody_event__": {"type": "file_read", "path": "a"}}'
    sleep 0.05
done
"""
COUNTED = 7
"""Frames after which a restless client hangs up."""


class Reader(threading.Thread):
    """A client that reads a run to its end, and comes again with its cursor when it is cut off, or is `restless`."""

    def __init__(self, run: Run, *, restless: bool = False) -> None:
        super().__init__(daemon=True)
        self._run = run
        self._restless = restless
        self.frames: list[Frame] = []
        self.start()

    def run(self) -> None:
        while not (self.frames and self.frames[-1].event in TERMINAL):
            headers = {"Last-Event-ID": self.frames[-1].id or ""} if self.frames else {}
            with self._run.stream(headers=headers) as stream:
                assert stream.status == 200, stream.body()
                for count, frame in enumerate((frame for frame in stream if frame.event), 1):
                    self.frames.append(frame)
                    if self._restless and count == COUNTED:
                        break

    def check(self) -> None:
        """What it read, each SEQ once and in order, is what a client reads that comes now."""
        self.join(PATIENCE_SECONDS)
        assert not self.is_alive()
        with self._run.stream() as stream:
            anew = {frame.seq: frame for frame in stream if frame.event}
        assert [frame.seq for frame in self.frames] == sorted({frame.seq for frame in self.frames})
        assert [(frame.id, frame.data) for frame in self.frames] == [(frame.id, frame.data) for frame in anew.values()]


def check_nothing_lost(runs: Iterable[Run], readers: Iterable[Reader]) -> None:
    """All readers saw all of it, and no run says that a part of its log is gone."""
    for reader in readers:
        reader.check()
    for run in runs:
        assert types(check_ended(run), "log_gap") == []
