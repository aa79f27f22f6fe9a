"""`cody runs`: list runs, newest first."""

import time

import click

from cody.cli.client import Client
from cody.cli.phrases import clean, duration, one_line
from cody.cli.remote import call, url_option
from cody.cli.table import Cell, print_table
from cody.contract.lifecycle import STATUSES
from cody.contract.runs import Snapshot

_PAGE = 100
"""The most that the service gives at once."""

_COLOURS = {"running": "cyan", "completed": "green", "failed": "red", "paused": "yellow"}


@click.command("runs")
@click.option("--status", type=click.Choice(STATUSES), help="Only these.")
@click.option("--epic", "epic_id", metavar="ID", help="Only runs of this epic.")
@click.option("--agent", metavar="KIND", help="Only runs of this kind of agent.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="One snapshot's JSON a line.")
@url_option
def command(status: str | None, epic_id: str | None, agent: str | None, limit: int, as_json: bool, url: str) -> None:
    """List runs, newest first."""
    runs = call(url, lambda client: _collect(client, limit, status=status, epic_id=epic_id, agent=agent))
    if as_json:
        for run in runs:
            click.echo(run.model_dump_json(by_alias=True))
    elif runs:
        _print(runs)
    else:
        click.echo("no runs")


async def _collect(client: Client, limit: int, **query: str | None) -> list[Snapshot]:
    """The newest `limit` runs, page by page."""
    runs: list[Snapshot] = []
    cursor: str | None = None
    while len(runs) < limit:
        page = await client.list(limit=min(limit - len(runs), _PAGE), cursor=cursor, **query)
        runs.extend(page.runs)
        cursor = page.next_cursor
        if cursor is None:
            break
    return runs


def _print(runs: list[Snapshot]) -> None:
    now = time.time_ns() // 1_000_000
    rows = [
        (
            run.run_id,
            Cell(run.status, _COLOURS.get(run.status)),
            one_line(f"{run.agent} {run.model or ''}"),
            str(run.stats.turns),
            f"{run.stats.tokens:,}",
            duration(now - run.created_at),
            run.epic_id or "",
            Cell(clean(run.working_dir or ""), dim=True),
        )
        for run in runs
    ]
    head = ("RUN", "STATUS", "AGENT", "TURNS", "TOKENS", "AGE", "EPIC", "WORKING DIRECTORY")
    print_table(head, rows, right=("TURNS", "TOKENS", "AGE"))
