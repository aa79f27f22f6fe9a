"""Clients of a run's stream: steady ones, restless ones, slow ones, ones that vanish; all of them remember."""

import random
import threading
import time
from typing import NamedTuple

from tests.e2e.runs.checks import TERMINAL
from tests.service import Frame, Run, Stream

_PAUSE_SECONDS = 0.2
_SILENCE_SECONDS = 15.0
"""Several keepalives: who says nothing for so long is not there."""


class Seen(NamedTuple):
    """An entry as a client got it, byte for byte."""

    id: str
    type: str
    event: str

    @property
    def seq(self) -> int:
        return int(self.id.partition("-")[0])


class Misled(AssertionError):
    """A client was told what it never should be."""


class Client(threading.Thread):
    """Reads a run to its end, and comes again with its cursor whenever it is cut off, or chooses to leave."""

    def __init__(self, run: Run, seed: str) -> None:
        super().__init__(daemon=True)
        self.dice = random.Random(seed)
        self.hurried = threading.Event()
        """Set when there is no more time for manners."""
        self.given_up = threading.Event()
        self.seen: list[Seen] = []
        self.visits = 0
        self.fault: BaseException | None = None
        self._run = run
        self.start()

    def __str__(self) -> str:
        return f"{type(self).__name__.lower()} client of {self._run.id}"

    def stays(self, stream: Stream) -> bool:
        """Called after each frame; False if it hangs up now."""
        return True

    def run(self) -> None:
        try:
            while not self.given_up.is_set() and not self._visit():
                time.sleep(_PAUSE_SECONDS)
        except BaseException as error:  # noqa: BLE001 - the judgement raises it
            self.fault = error

    def _visit(self) -> bool:
        """One connection; whether the run has been read to its end."""
        headers = {"Last-Event-ID": self.seen[-1].id} if self.seen else {}
        try:
            with self._run.stream(headers=headers) as stream:
                self.visits += 1
                if stream.status == 200:
                    return self._read(stream)
                if stream.status == 204 and self.seen and self.seen[-1].type in TERMINAL:
                    return True
                if stream.status == 503:
                    return False
                raise Misled(f"{self} at {headers}: {stream.status} {stream.body()!r}")
        except OSError:
            return False  # the API is away, or says nothing

    def _read(self, stream: Stream) -> bool:
        while not self.given_up.is_set():
            frame = stream.next(_SILENCE_SECONDS)
            if frame is None:
                return bool(self.seen) and self.seen[-1].type in TERMINAL
            if frame.event is not None:
                self._note(frame)
                if not self.stays(stream):
                    return False
        return False

    def _note(self, frame: Frame) -> None:
        assert frame.id is not None
        assert frame.event is not None
        assert frame.data is not None
        self.seen.append(Seen(frame.id, frame.event, frame.data))


class Steady(Client):
    """Stays for as long as it can."""


class Restless(Client):
    """Hangs up and comes again all the time: a hundred times over a round or two."""

    def stays(self, stream: Stream) -> bool:
        return self.hurried.is_set() or self.dice.random() > 0.03


class Slow(Client):
    """Takes its time over each frame."""

    def stays(self, stream: Stream) -> bool:
        if not self.hurried.is_set():
            time.sleep(self.dice.uniform(0, 0.06))
        return True


class Vanishing(Client):
    """Stops reading in the middle of it, then is gone without a word, and back a while later."""

    def stays(self, stream: Stream) -> bool:
        if self.hurried.is_set() or self.dice.random() > 0.005:
            return True
        time.sleep(self.dice.uniform(0, 3))
        stream.reset()
        time.sleep(self.dice.uniform(0, 3))
        return False


KINDS = (Steady, Restless, Slow, Vanishing)
