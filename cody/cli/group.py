"""The command `cody` and the table of its subcommands.

The table holds each subcommand's one line of help, so that `cody --help` imports none of them.
"""

import gc
from importlib import import_module
from typing import Final, NamedTuple, cast

import click


class Subcommand(NamedTuple):
    """Where a subcommand lives (the module's attribute `command`) and what the overview says of it."""

    module: str
    help: str


SECTIONS: Final[dict[str, dict[str, Subcommand]]] = {
    "The service": {
        "dev": Subcommand("cody.cli.dev.command", "Everything on this machine: Temporal, Redis, API, workers, a demo."),
        "api": Subcommand("cody.cli.api", "The API alone, against the parts that the environment names."),
        "worker": Subcommand("cody.cli.worker", "A worker alone, against the parts that the environment names."),
    },
    "Runs": {
        "run": Subcommand("cody.cli.run", "Start a run here and watch it: cody run -- ./my-agent.sh"),
        "watch": Subcommand("cody.cli.watch", "Watch a run, from its beginning or from any place."),
        "runs": Subcommand("cody.cli.runs", "List runs, newest first."),
        "pause": Subcommand("cody.cli.pause", "Let the turn finish (or --now: interrupt it), then wait."),
        "resume": Subcommand("cody.cli.resume", "Go on after a pause."),
        "cancel": Subcommand("cody.cli.cancel", "End a run and everything that its agent started."),
        "prompt": Subcommand("cody.cli.prompt", "Print the prompt that a turn would get; runs nothing."),
    },
    "Looking after it": {
        "config": Subcommand("cody.cli.config", "Every setting, its value and where it comes from."),
        "verify": Subcommand("cody.cli.verify", "Check a running service from end to end."),
        "reproject": Subcommand("cody.cli.reproject", "Fold a run's log again and compare or replace its documents."),
    },
}

COMMANDS: Final[dict[str, Subcommand]] = {
    name: entry for section in SECTIONS.values() for name, entry in section.items()
}


class LazyGroup(click.Group):
    """A group that imports a subcommand's module when that subcommand is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every name, in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand, imported now; None for a name that the table does not have."""
        del ctx
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        gc.set_threshold(100_000)  # what is imported stays: looking through it for garbage is a tenth of a start
        return cast("click.Command", import_module(entry.module).command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The overview, from the table alone."""
        del ctx
        for title, entries in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, entry.help) for name, entry in entries.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="cody", message="cody %(version)s")
def main() -> None:
    """Durable continuous runs of AI coding agents.

    \b
    cody dev                      start everything on this machine
    cody run -- ./my-agent.sh     turn after turn until the goal is met
    cody watch RUN                come back to a run

    The commands under "Runs" speak to the service at CODY_URL (http://127.0.0.1:8000 unless told).
    """  # noqa: D301  # \b is click's mark for "keep these lines as they are"
