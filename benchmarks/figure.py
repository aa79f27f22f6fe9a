"""One figure beside its baseline, from rounds that took both in turns."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Figure:
    """Medians of the rounds; `ratio` is the median of each round's ours / baseline, so that noise hits both alike."""

    name: str
    what: str
    """What was measured, and what it is compared with."""
    unit: str
    rounds: Sequence[tuple[float, float]]
    """(ours, baseline) of each round."""
    at_least: float | None = None
    at_most: float | None = None
    limit: float | None = None
    """What ours itself may be at most, in `unit`, where the aim is no ratio."""
    notes: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def ours(self) -> float:
        return statistics.median(ours for ours, _ in self.rounds)

    @property
    def baseline(self) -> float:
        return statistics.median(baseline for _, baseline in self.rounds)

    @property
    def ratio(self) -> float | None:
        """None where a baseline is too small to be measured."""
        pairs = [ours / baseline for ours, baseline in self.rounds if baseline > 0]
        return statistics.median(pairs) if pairs else None

    @property
    def aim(self) -> str:
        """What it is to reach, in words."""
        if self.limit is not None:
            return f"≤ {self.limit:g} {self.unit}"
        return f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"

    @property
    def met(self) -> bool:
        if self.limit is not None:
            return self.ours <= self.limit
        if self.ratio is None:
            return False
        if self.at_least is not None:
            return self.ratio >= self.at_least
        return self.at_most is not None and self.ratio <= self.at_most

    def json(self) -> dict[str, Any]:
        """As `make bench` prints it."""
        ratio = self.ratio
        return {
            "ours": _short(self.ours),
            "baseline": _short(self.baseline),
            "ratio": None if ratio is None else _short(ratio),
            "unit": self.unit,
            "aim": self.aim,
            "met": self.met,
            "what": self.what,
            "rounds": [[_short(ours), _short(baseline)] for ours, baseline in self.rounds],
            **self.notes,
        }


def _short(value: float) -> float:
    """Four significant digits."""
    return float(f"{value:.4g}")


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of them is at or below."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
