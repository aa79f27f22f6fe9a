"""`cody watch`: come back to a run."""

import sys

import click

from cody.cli.client import Client
from cody.cli.ending import EXIT_CODES, EXIT_CODES_HELP
from cody.cli.invocation import cody
from cody.cli.phrases import joined
from cody.cli.remote import call, url_option
from cody.cli.watching import ForMachine, ForPerson, Output, watch
from cody.contract.lifecycle import RunStatus


@click.command("watch", epilog=EXIT_CODES_HELP)
@click.argument("run_id", metavar="RUN")
@click.option("--from", "start", metavar="CURSOR|latest", help="Begin after this entry; without it, at the beginning.")
@click.option("--json", "as_json", is_flag=True, help="One event's JSON a line.")
@url_option
def command(run_id: str, start: str | None, as_json: bool, url: str) -> None:
    """Watch a run until it ends; Ctrl-C leaves it running."""
    output = ForMachine() if as_json else ForPerson(cody=cody(url))

    async def work(client: Client) -> RunStatus:
        run = await client.get(run_id)
        output.begin(run.agent)
        output.note(joined(run_id, run.working_dir, run.links.temporal))
        # An exact place, unlike the stream's own `from=latest`, so that a connection that drops before its first entry
        # loses nothing.
        return await watch(client, run_id, output, run.cursor if start == "latest" else start)

    try:
        status = call(url, work)
    except KeyboardInterrupt:
        detached(output, run_id, url)
        return
    sys.exit(EXIT_CODES[status])


def detached(output: Output, run_id: str, url: str) -> None:
    """Say that the run goes on, and how to come back to it or end it."""
    name = cody(url)
    output.note(f"\nleft it running\n  come back: {name} watch {run_id}\n  end it:    {name} cancel {run_id}")
