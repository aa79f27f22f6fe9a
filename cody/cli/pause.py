"""`cody pause`: let the turn finish, or interrupt it, then wait."""

import click

from cody.cli.invocation import cody
from cody.cli.remote import call, url_option


@click.command("pause")
@click.argument("run_id", metavar="RUN")
@click.option("--now", is_flag=True, help="Interrupt the turn; the next resume repeats it.")
@click.option("--reason", help="Why; it stands in the run's log.")
@url_option
def command(run_id: str, now: bool, reason: str | None, url: str) -> None:
    """Pause a run: after its turn, or --now."""
    mode = "now" if now else "after_turn"
    answer = call(url, lambda client: client.control(run_id, "pause", reason=reason, mode=mode))
    click.echo(f"{answer.run_id} is {answer.status} · go on with: {cody(url)} resume {answer.run_id}")
