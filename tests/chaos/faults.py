"""What can happen to a ground: each fault strikes once, and relents, so that two of them may overlap."""

import random
import signal
from contextlib import nullcontext, suppress
from typing import Literal, Protocol

import psutil

from tests.chaos.ground import Ground

PartName = Literal["worker", "api", "temporal"]


class Fault(Protocol):
    """Something that goes wrong, and after a while does not any more."""

    hold_seconds: float
    """From strike to relenting."""

    def strike(self, ground: Ground) -> None:
        """Let it happen."""
        ...

    def relent(self, ground: Ground) -> None:
        """Undo what does not mend itself."""
        ...


class Kill:
    """kill -9 of one process of a part, or of all; `cody dev` starts it again."""

    def __init__(self, dice: random.Random, part: PartName, *, every: bool = False) -> None:
        self.part = part
        self.every = every
        self.hold_seconds = dice.uniform(0, 2)
        self._which = dice.random()

    def __str__(self) -> str:
        return f"kill -9 {'every ' if self.every else ''}{self.part}"

    def strike(self, ground: Ground) -> None:
        found = [ground.service.part(self.part), *ground.service.parts(self.part)[1:]]
        told = ground.past.worker_dies(ground.redis.url) if self.part == "worker" else nullcontext()
        with told:
            for process in found if self.every else [found[int(self._which * len(found))]]:
                with suppress(psutil.NoSuchProcess):  # it was just dying by itself, of another fault
                    process.kill()

    def relent(self, ground: Ground) -> None:
        """`cody dev` does."""


class Freeze:
    """SIGSTOP of one process of a part, and SIGCONT after a while."""

    def __init__(self, dice: random.Random, part: PartName, longest_seconds: float = 12) -> None:
        self.part = part
        self.hold_seconds = dice.uniform(1, longest_seconds)
        self._which = dice.random()
        self._frozen: psutil.Process | None = None

    def __str__(self) -> str:
        return f"freeze {self.part} for {self.hold_seconds:.1f} s"

    def strike(self, ground: Ground) -> None:
        ground.service.part(self.part)
        found = ground.service.parts(self.part)
        self._frozen = found[int(self._which * len(found))]
        self._frozen.suspend()

    def relent(self, ground: Ground) -> None:
        if self._frozen is not None:
            with suppress(psutil.NoSuchProcess):  # another fault may have killed it
                self._frozen.resume()


class KillRedis:
    """kill -9 of Redis, which comes back with its file, or `emptied`."""

    def __init__(self, dice: random.Random, *, emptied: bool = False, longest_seconds: float = 4) -> None:
        self.hold_seconds = dice.uniform(0, longest_seconds)
        self._emptied = emptied

    def __str__(self) -> str:
        what = "kill -9 redis and remove its data" if self._emptied else "kill -9 redis"
        return f"{what}, for {self.hold_seconds:.1f} s"

    def strike(self, ground: Ground) -> None:
        ground.redis.kill()
        if self._emptied:
            ground.lose_redis_data()

    def relent(self, ground: Ground) -> None:
        ground.redis.start()


class FreezeRedis:
    """SIGSTOP and SIGCONT of Redis."""

    def __init__(self, dice: random.Random) -> None:
        self.hold_seconds = dice.uniform(1, 12)

    def __str__(self) -> str:
        return f"freeze redis for {self.hold_seconds:.1f} s"

    def strike(self, ground: Ground) -> None:
        ground.redis.signal(signal.SIGSTOP)

    def relent(self, ground: Ground) -> None:
        ground.redis.signal(signal.SIGCONT)


class KillPostgres:
    """kill -9 of all PostgreSQL's processes; it recovers from its files."""

    def __init__(self, dice: random.Random) -> None:
        self.hold_seconds = dice.uniform(0, 6)

    def __str__(self) -> str:
        return f"kill -9 postgresql, for {self.hold_seconds:.1f} s"

    def strike(self, ground: Ground) -> None:
        assert ground.postgres is not None
        ground.postgres.kill()

    def relent(self, ground: Ground) -> None:
        assert ground.postgres is not None
        ground.postgres.start()


class FillDisk:
    """No room on the disk of Redis, Temporal, SQLite and the parts' logs."""

    def __init__(self, dice: random.Random) -> None:
        self.hold_seconds = dice.uniform(2, 8)

    def __str__(self) -> str:
        return f"full disk for {self.hold_seconds:.1f} s"

    def strike(self, ground: Ground) -> None:
        ground.disk.fill(ground.processes())

    def relent(self, ground: Ground) -> None:
        ground.disk.free()


class SlowWire:
    """Redis answers late."""

    def __init__(self, dice: random.Random) -> None:
        self.hold_seconds = dice.uniform(2, 8)
        self._seconds = dice.choice((0.02, 0.2, 1.5))

    def __str__(self) -> str:
        return f"redis slow by up to {self._seconds} s, for {self.hold_seconds:.1f} s"

    def strike(self, ground: Ground) -> None:
        ground.wire.slow_seconds = self._seconds

    def relent(self, ground: Ground) -> None:
        ground.wire.slow_seconds = 0.0


class CutWire:
    """Connections to Redis break in the middle of requests and replies."""

    def __init__(self, dice: random.Random) -> None:
        self.hold_seconds = dice.uniform(2, 8)
        self._one_in = dice.choice((3, 20, 100))

    def __str__(self) -> str:
        return f"redis cuts one chunk in {self._one_in}, for {self.hold_seconds:.1f} s"

    def strike(self, ground: Ground) -> None:
        ground.wire.cut_one_in = self._one_in

    def relent(self, ground: Ground) -> None:
        ground.wire.cut_one_in = 0
