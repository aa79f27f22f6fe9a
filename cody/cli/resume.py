"""`cody resume`: go on after a pause."""

import click

from cody.cli.remote import call, url_option


@click.command("resume")
@click.argument("run_id", metavar="RUN")
@click.option("--reason", help="Why; it stands in the run's log.")
@url_option
def command(run_id: str, reason: str | None, url: str) -> None:
    """Go on with a paused run, or withdraw a pause that has not begun."""
    answer = call(url, lambda client: client.control(run_id, "resume", reason=reason))
    click.echo(f"{answer.run_id} is {answer.status}")
