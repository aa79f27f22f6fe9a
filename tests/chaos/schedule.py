"""What happens when: drawn from a seed before anything happens, so that a seed says it again."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.chaos.faults import CutWire, Fault, FillDisk, Freeze, FreezeRedis, Kill, KillPostgres, KillRedis, SlowWire
from tests.chaos.ground import DatabaseKind, Ground

Make = Callable[[random.Random], Sequence[Fault]]
Say = Callable[[str], None]

SINGLE: tuple[Make, ...] = (
    lambda dice: (Kill(dice, "worker"),),
    lambda dice: (Kill(dice, "worker", every=True),),
    lambda dice: (Kill(dice, "api"),),
    lambda dice: (Kill(dice, "temporal"),),
    lambda dice: (KillRedis(dice),),
    lambda dice: (KillRedis(dice, emptied=True),),
    lambda dice: (Freeze(dice, "worker"),),
    lambda dice: (Freeze(dice, "api"),),
    lambda dice: (Freeze(dice, "temporal"),),
    lambda dice: (FreezeRedis(dice),),
    lambda dice: (SlowWire(dice),),
    lambda dice: (CutWire(dice),),
    lambda dice: (FillDisk(dice),),
)
_BRIEFLY = 5.0
"""Seconds for which a worker may be frozen without being taken for dead (ADR 015), though the machine be busy."""
_HASTE = 0.3
"""What is left of the seconds that a fault holds, in the short form."""
DOUBLE: tuple[Make, ...] = (
    lambda dice: (Freeze(dice, "worker", _BRIEFLY), KillRedis(dice, emptied=True, longest_seconds=1)),
    lambda dice: (Kill(dice, "worker", every=True), KillRedis(dice, emptied=True)),
    lambda dice: (Kill(dice, "temporal"), KillRedis(dice, emptied=True)),
    lambda dice: (Kill(dice, "api"), KillRedis(dice, emptied=True)),
    lambda dice: (SlowWire(dice), Kill(dice, "worker")),
    lambda dice: (CutWire(dice), Kill(dice, "temporal")),
    lambda dice: (FillDisk(dice), Kill(dice, "worker")),
    # What heals a log is interrupted by the next loss.
    lambda dice: (KillRedis(dice, emptied=True), _Pause(dice), KillRedis(dice, emptied=True)),
    lambda dice: (KillRedis(dice, emptied=True), _Pause(dice), Kill(dice, "worker")),
)
ON_POSTGRES: tuple[Make, ...] = (
    lambda dice: (KillPostgres(dice),),
    lambda dice: (KillPostgres(dice), KillRedis(dice)),
    lambda dice: (KillPostgres(dice), KillRedis(dice, emptied=True)),
    lambda dice: (KillPostgres(dice), Kill(dice, "worker")),
)


class _Pause:
    """Nothing happens; what struck before it relents first."""

    def __init__(self, dice: random.Random) -> None:
        self.hold_seconds = dice.uniform(0, 2)

    def __str__(self) -> str:
        return f"{self.hold_seconds:.1f} s later"

    def strike(self, ground: Ground) -> None:
        """Nothing."""

    def relent(self, ground: Ground) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Blow:
    """After a rest, these faults: one during the other, unless a pause stands between them."""

    rest_seconds: float
    faults: Sequence[Fault]

    def __str__(self) -> str:
        return " + ".join(map(str, self.faults))

    def fall(self, ground: Ground) -> None:
        """Strike one after the other, and relent in turn, the last one first; whatever goes wrong, all relent."""
        standing: list[Fault] = []
        try:
            for fault in self.faults:
                if isinstance(fault, _Pause):
                    self._relent(ground, standing)
                standing.append(fault)
                fault.strike(ground)
                if fault is not self.faults[-1]:
                    time.sleep(fault.hold_seconds / 2)
            time.sleep(self.faults[-1].hold_seconds)
        finally:
            self._relent(ground, standing)

    @staticmethod
    def _relent(ground: Ground, standing: list[Fault]) -> None:
        while standing:
            standing.pop().relent(ground)


def long_form(seed: str, kind: DatabaseKind) -> list[Blow]:
    """Five to eight blows of all kinds."""
    dice = random.Random(f"{seed} {kind}")
    makes = [*SINGLE, *DOUBLE, *(ON_POSTGRES * 2 if kind == "postgresql" else ())]
    return [_blow(dice, dice.choice(makes), 5) for _ in range(dice.randint(5, 8))]


def short_form(seed: str, kind: DatabaseKind) -> list[Blow]:
    """Each fault once, in some order and close together; what PostgreSQL is struck by, with the worst of the others."""
    dice = random.Random(f"{seed} {kind}")
    makes = (*ON_POSTGRES, DOUBLE[0]) if kind == "postgresql" else SINGLE
    blows = [_blow(dice, make, 0.5) for make in dice.sample(makes, len(makes))]
    for fault in (fault for blow in blows for fault in blow.faults):
        fault.hold_seconds *= _HASTE
    return blows


def _blow(dice: random.Random, make: Make, rest_seconds: float) -> Blow:
    return Blow(dice.uniform(0, rest_seconds), make(dice))


def play(schedule: Sequence[Blow], ground: Ground, say: Say) -> None:
    """Let all of it happen."""
    began = time.monotonic()
    for blow in schedule:
        time.sleep(blow.rest_seconds)
        say(f"{time.monotonic() - began:6.1f} s  {blow}")
        blow.fall(ground)
