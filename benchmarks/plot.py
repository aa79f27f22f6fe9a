"""The plot: each figure's ratio to its baseline on a logarithmic line, and where its aim is."""

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from benchmarks.figure import Figure

_WIDTH, _LEFT, _RIGHT, _ROW, _TOP = 760, 150, 40, 34, 46
_DECADES = (-2, 2)
_GOOD, _BAD, _AIM, _GRID, _TEXT = "#2a7d4f", "#b5482f", "#30343b", "#d8dbe0", "#30343b"


def svg(figures: Sequence[Figure]) -> str:
    """One row a figure; those whose aim is no ratio are left out."""
    shown = [figure for figure in figures if figure.limit is None and figure.ratio is not None]
    height = _TOP + _ROW * len(shown) + 16
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" '
        f'font-size="12" fill="{_TEXT}">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        '<text x="12" y="18">Ours / baseline of the same round (median); the mark is the aim, the arrow where better '
        "is</text>",
        *_grid(height),
    ]
    for row, figure in enumerate(shown):
        parts += _row(figure, _TOP + _ROW * row)
    return "\n".join([*parts, "</svg>", ""])


def _x(ratio: float) -> float:
    low, high = _DECADES
    share = (math.log10(ratio) - low) / (high - low)
    return _LEFT + min(1.0, max(0.0, share)) * (_WIDTH - _LEFT - _RIGHT)


def _grid(height: int) -> list[str]:
    lines: list[str] = []
    for power in range(_DECADES[0], _DECADES[1] + 1):
        x = _x(10.0**power)
        lines += [
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 8}" y2="{height - 10}" stroke="{_GRID}"/>',
            f'<text x="{x:.1f}" y="{_TOP - 12}" text-anchor="middle">{10.0**power:g}×</text>',
        ]
    return lines


def _row(figure: Figure, top: int) -> list[str]:
    ratio, middle = figure.ratio or 1.0, top + _ROW / 2
    one, end = _x(1.0), _x(ratio)
    aim = _x(figure.at_least or figure.at_most or 1.0)
    arrow = "→" if figure.at_least is not None else "←"
    return [
        f'<text x="12" y="{middle + 4:.1f}">{escape(figure.name)} {arrow}</text>',
        f'<rect x="{min(one, end):.1f}" y="{top + 9}" width="{max(1.0, abs(end - one)):.1f}" height="{_ROW - 18}" '
        f'fill="{_GOOD if figure.met else _BAD}"/>',
        f'<line x1="{aim:.1f}" x2="{aim:.1f}" y1="{top + 5}" y2="{top + _ROW - 5}" stroke="{_AIM}" stroke-width="2"/>',
        f'<text x="{max(end, one) + 6:.1f}" y="{middle + 4:.1f}">{ratio:.3g}</text>',
    ]
