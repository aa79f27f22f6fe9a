"""How a runner's file tells the recogniser what its lines mean."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from enum import Enum
from typing import ClassVar, NamedTuple, Self

from cody.contract.payloads import TestRunCompleted

HOLD_SECONDS = 0.3
"""How long a report by the agent and the same run's printed output may be apart."""


class Sign(Enum):
    """What a line says, other than the counts of a run."""

    HEADER = "a run begins here, whatever was before it"
    UNDER_WAY = "a run is under way; it begins here if none was"
    OVER = "the run has ended with the counts that it has so far"


class Counts(NamedTuple):
    """The tests of a run, or of a part of it."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    milliseconds: float | None = None
    """What the runner printed of its time; None if it printed nothing."""

    def plus(self, more: Self) -> "Counts":
        """Both together."""
        times = [each for each in (self.milliseconds, more.milliseconds) if each is not None]
        return Counts(
            self.passed + more.passed,
            self.failed + more.failed,
            self.skipped + more.skipped,
            sum(times) if times else None,
        )

    def completed(self, command: str) -> TestRunCompleted:
        """The event's payload."""
        return TestRunCompleted(
            command=command,
            passed=self.passed,
            failed=self.failed,
            skipped=self.skipped,
            duration_ms=None if self.milliseconds is None else round(self.milliseconds),
        )


Said = Sign | Counts


class Runner(ABC):
    """Reads the lines of one runner, of both streams, and may remember what it read."""

    command: ClassVar[str]
    """What the events call it."""
    starts: ClassVar[tuple[str, ...]]
    """What a line of interest begins with, without colours and blanks: `read` sees no other line."""
    hold_seconds: ClassVar[float] = HOLD_SECONDS
    """How long a run's counts wait for what may still change them."""
    in_parts: ClassVar[bool] = False
    """A run's counts grow with each part of it (a crate, a package), and no line of it is sure to be the last."""
    on_two_streams: ClassVar[bool] = False
    """Its header may be on another stream than its counts, so that either may be read first."""

    @abstractmethod
    def read(self, line: str, stream: str) -> Iterator[Said]:
        """What a whole line (no colours, no blanks around it) means. Counts are those of the whole run so far."""

    def forget(self) -> None:  # noqa: B027 - only a runner in parts has something to forget
        """The run that was under way is told: what comes is of another one. May be called inside of `read`."""
