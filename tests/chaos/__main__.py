"""`make chaos`: random rounds until one fails, whose directory is then kept for a look."""

import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import cast, get_args

import click

from tests.chaos.ground import DatabaseKind, ground
from tests.chaos.leaks import Levels
from tests.chaos.round import play_round
from tests.chaos.schedule import long_form


@click.command()
@click.option("--rounds", default=6, show_default=True, help="On each database.")
@click.option("--seed", type=int, help="Of the first round; the next one has the next number. Drawn unless told.")
@click.option("--database", type=click.Choice([*get_args(DatabaseKind), "both"]), default="both", show_default=True)
def main(rounds: int, seed: int | None, database: str) -> None:
    """Play rounds of random faults against a service of its own."""
    first = seed if seed is not None else int(time.time()) % 100_000
    kinds = get_args(DatabaseKind) if database == "both" else (database,)
    for kind in kinds:
        root = Path(tempfile.mkdtemp(prefix=f"cody-chaos-{kind}-"))
        number = first
        try:
            with ground(root, cast("DatabaseKind", kind), str(first)) as it:
                how = "a disk of its own" if it.disk.is_real else "limits on the size of files, as it may mount nothing"
                click.echo(f"{kind}, with {how}, in {root}")
                levels = Levels(it)
                for number in range(first, first + rounds):
                    click.echo(
                        f"round {number - first + 1} of {rounds}: make chaos SEED={number} ROUNDS=1 DATABASE={kind}"
                    )
                    play_round(it, long_form(str(number), cast("DatabaseKind", kind)), str(number), levels, click.echo)
        except BaseException:
            click.echo(f"failed at SEED={number} DATABASE={kind}; all of it is kept in {root}", err=True)
            raise
        shutil.rmtree(root)
    click.echo("all is well")


if __name__ == "__main__":
    sys.exit(main())
