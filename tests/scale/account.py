"""What a case has seen, and which promises it found broken."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

COST_RATIO = 1.5
"""What an event (or a turn) may cost at the end, in CPU time, against the beginning."""


@dataclass
class Account:
    """The account of one case; `told` is printed as it is."""

    told: dict[str, Any] = field(default_factory=dict[str, Any])
    broken: list[str] = field(default_factory=list[str])
    """Counts, order and equality that are not what they must be: wrong on any machine."""
    grown: list[str] = field(default_factory=list[str])
    """Memory above its bound, and cost that is no longer constant."""

    def tell(self, **facts: Any) -> None:
        """Note what was done and seen."""
        self.told |= facts

    def equal(self, what: str, seen: object, wanted: object) -> None:
        """What was counted must be this."""
        if seen != wanted:
            self.broken.append(f"{what}: {_short(seen)}, not {_short(wanted)}")

    def hold(self, what: str, fault: str | None) -> None:
        """What was compared must show no fault."""
        if fault:
            self.broken.append(f"{what}: {_short(fault)}")

    def bound(self, what: str, seen: float, at_most: float, unit: str) -> None:
        """What was measured may be this at most."""
        if seen > at_most:
            self.grown.append(f"{what}: {seen:.0f} {unit}, above {at_most:g}")

    def memory(self, grown_mb: Mapping[str, float], at_most_mb: Mapping[str, float]) -> None:
        """By how much each part may grow above what it had at the start, at its peak."""
        for part, limit in at_most_mb.items():
            self.bound(f"{part} grew", grown_mb[part], limit, "MB")

    def cost(self, what: str, first_us: Mapping[str, float], last_us: Mapping[str, float]) -> None:
        """CPU per piece of work of all parts together, in its first and its last tenth."""
        self.tell(**{f"cpu_us_{what}_first_tenth": _rounded(first_us), f"cpu_us_{what}_last_tenth": _rounded(last_us)})
        first, last = sum(first_us.values()), sum(last_us.values())
        if last > first * COST_RATIO:
            self.grown.append(f"CPU per {what}: {first:.0f} µs in the first tenth, {last:.0f} in the last")


def _rounded(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: round(figure, 1) for name, figure in figures.items()}


def _short(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 300 else f"{text[:300]} … ({len(text)} characters)"
