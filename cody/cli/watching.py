"""Watch one run to its end: the flow that `cody run`, `cody watch` and the demo share, for a person or a machine."""

from contextlib import aclosing
from typing import Protocol

import click
from rich.console import Console

from cody.cli.client import Client, ClientError
from cody.cli.ending import STATUS_AFTER, last_line
from cody.cli.follow import Follower
from cody.cli.render import BAD, DIM, GOOD, NOTE, Renderer
from cody.cli.sse import Frame
from cody.contract.errors import CursorProblem
from cody.contract.lifecycle import RunStatus
from cody.contract.runs import Snapshot


class Output(Protocol):
    """Where a watched run is shown."""

    def begin(self, agent: str) -> None:
        """A run is about to be shown, by the kind of its agent."""
        ...

    def entry(self, frame: Frame) -> None:
        """An entry of the log."""
        ...

    def reset(self, problem: CursorProblem) -> None:
        """Entries are gone for good, or the log was replaced."""
        ...

    def note(self, text: str) -> None:
        """A line about the watching itself."""
        ...

    def end(self, status: RunStatus, snapshot: Snapshot | None) -> None:
        """The run is over."""
        ...


class ForPerson:
    """As a person wants to read it, on stdout; `cody` is how it is called here."""

    def __init__(self, console: Console | None = None, cody: str = "cody") -> None:
        self._renderer = Renderer(console or Console(), cody)

    def begin(self, agent: str) -> None:
        """The kind tells where the agent speaks, also to who comes in the middle of a turn."""
        self._renderer.begin(agent)

    def entry(self, frame: Frame) -> None:
        """An entry of the log."""
        self._renderer.show(frame)

    def reset(self, problem: CursorProblem) -> None:
        """Entries are gone for good, or the log was replaced."""
        self._renderer.reset(problem)

    def note(self, text: str) -> None:
        """A line about the watching itself."""
        self._renderer.note(text, DIM)

    def end(self, status: RunStatus, snapshot: Snapshot | None) -> None:
        """One clear last line."""
        style = {"completed": GOOD, "failed": BAD}.get(status, NOTE)
        self._renderer.note(last_line(status, self._renderer.terminal, snapshot), f"bold {style}")


class ForMachine:
    """One event's JSON a line on stdout, exactly as it was sent; everything else on stderr."""

    def begin(self, agent: str) -> None:
        """Nothing: the events say it."""

    def entry(self, frame: Frame) -> None:
        """An entry of the log."""
        click.echo(frame.data)

    def reset(self, problem: CursorProblem) -> None:
        """Entries are gone for good, or the log was replaced."""
        click.echo(f"{problem.code}: {problem.detail}", err=True)

    def note(self, text: str) -> None:
        """A line about the watching itself."""
        click.echo(text, err=True)

    def end(self, status: RunStatus, snapshot: Snapshot | None) -> None:
        """Nothing: the terminal event was the last line."""


async def watch(client: Client, run_id: str, output: Output, start: str | None = None) -> RunStatus:
    """Show the run's entries after `start` (a cursor; None is the beginning) until it ends; how it ended.

    Raises what `Follower.frames` raises.
    """
    last: Frame | None = None
    follower = Follower(client, run_id, start=start, trouble=output.note)
    async with aclosing(follower.frames()) as entries:  # also when nobody reads our stdout any more
        async for entry in entries:
            if isinstance(entry, CursorProblem):
                output.reset(entry)
            else:
                output.entry(entry)
                last = entry
    if last is None:
        # Nothing came after `start`: it is the cursor of the terminal event.
        snapshot = await client.get(run_id)
        status = snapshot.status
    else:
        snapshot = await _figures(client, run_id, output)
        status = STATUS_AFTER[last.type]
    output.end(status, snapshot)
    return status


async def _figures(client: Client, run_id: str, output: Output) -> Snapshot | None:
    """The run's final figures. The end is known without them, so a service that is gone by now changes nothing."""
    try:
        return await client.get(run_id)
    except ClientError as error:
        output.note(f"no figures: {error}")
        return None
