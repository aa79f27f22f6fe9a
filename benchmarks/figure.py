"""One figure and its baseline."""

import statistics
from collections.abc import Sequence
from typing import TypedDict

ROUNDS = 5


class Figure(TypedDict):
    """`ratio` is ours divided by the baseline."""

    ours: float
    baseline: float
    ratio: float
    unit: str


def figure(ours: Sequence[float], baseline: Sequence[float], unit: str) -> Figure:
    """Medians of the rounds."""
    one, other = statistics.median(ours), statistics.median(baseline)
    return {"ours": round(one, 3), "baseline": round(other, 3), "ratio": round(one / other, 3), "unit": unit}
