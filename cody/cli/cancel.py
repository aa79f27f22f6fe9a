"""`cody cancel`: end a run and everything that its agent started."""

import sys

import click

from cody.cli.client import Client
from cody.cli.remote import call, url_option
from cody.cli.sse import Frame
from cody.cli.watching import ForPerson, watch
from cody.contract.events import TERMINAL
from cody.contract.lifecycle import RunStatus


class OnlyTheEnd(ForPerson):
    """Shows the last line alone."""

    def entry(self, frame: Frame) -> None:
        """Pass over all but the terminal event."""
        if frame.type in TERMINAL:
            super().entry(frame)


@click.command("cancel", epilog="Exit code with --wait: 0 it was cancelled, 1 it ended in another way before that.")
@click.argument("run_id", metavar="RUN")
@click.option("--reason", help="Why; it stands in the run's log.")
@click.option("--wait", is_flag=True, help="Until it has ended, and show the receipt.")
@url_option
def command(run_id: str, reason: str | None, wait: bool, url: str) -> None:
    """End a run and everything that its agent started."""

    async def work(client: Client) -> RunStatus | None:
        answer = await client.control(run_id, "cancel", reason=reason)
        click.echo(f"{answer.run_id} is {answer.status}")
        if not wait:
            return None
        return await watch(client, run_id, OnlyTheEnd(), (await client.get(run_id)).cursor)

    status = call(url, work)
    if status:
        sys.exit(0 if status == "cancelled" else 1)
