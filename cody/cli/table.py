"""A table of text whose rows are never cut or wrapped, so that a pipe and a search see them whole."""

from collections.abc import Sequence
from typing import NamedTuple

import click
from rich.cells import cell_len


class Cell(NamedTuple):
    """Text, and the colour it has in a terminal."""

    text: str
    colour: str | None = None
    dim: bool = False


def print_table(head: Sequence[str], rows: Sequence[Sequence[Cell | str]], right: Sequence[str] = ()) -> None:
    """Print the rows under their heads; the columns named in `right` are flush right."""
    cells = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows]
    lines = [[Cell(name, dim=True) for name in head], *cells]
    widths = [max(cell_len(line[column].text) for line in lines) for column in range(len(head))]
    for line in lines:
        shown = [
            _padded(cell, width, name in right, last=column == len(head) - 1)
            for column, (cell, width, name) in enumerate(zip(line, widths, head, strict=True))
        ]
        click.echo("  ".join(shown).rstrip())


def _padded(cell: Cell, width: int, to_the_right: bool, *, last: bool) -> str:
    space = " " * (width - cell_len(cell.text))
    styled = click.style(cell.text, fg=cell.colour, dim=cell.dim or None) if cell.colour or cell.dim else cell.text
    if to_the_right:
        return space + styled
    return styled if last else styled + space
