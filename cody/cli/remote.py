"""What every command that speaks to the service shares: its address, its errors, its exit codes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import IO, Any, TypeVar

import click

from cody.cli.client import DEFAULT_URL, Client, RefusedError, UnreachableError
from cody.contract.errors import WORKING_DIR_NOT_ALLOWED

T = TypeVar("T")
CommandT = TypeVar("CommandT", bound=Callable[..., Any])


class Failure(click.ClickException):
    """A message for the person, and exit code 1."""

    exit_code = 1

    def show(self, file: IO[Any] | None = None) -> None:
        """In lower case, like a compiler's."""
        click.echo(f"error: {self.message}", file=file, err=file is None)


def url_option(command: CommandT) -> CommandT:
    """The option `--url`, which CODY_URL sets too."""
    return click.option(
        "--url", envvar="CODY_URL", default=DEFAULT_URL, show_default=True, help="The service (CODY_URL)."
    )(command)


def call(url: str, work: Callable[[Client], Awaitable[T]]) -> T:
    """Do `work` with a client of the service at `url`; its errors become a Failure."""

    async def connected() -> T:
        async with Client(url) as client:
            return await work(client)

    try:
        return asyncio.run(connected())
    except UnreachableError as error:
        raise Failure(f"{error}\nIs the service up? Start one with: cody dev") from error
    except RefusedError as error:
        raise Failure(explain(error)) from error


def explain(error: RefusedError) -> str:
    """The service's answer with its field errors, a line each."""
    problem = error.problem
    lines = [problem.detail or problem.title]
    faults = [f"{fault.field}: {fault.message}" for fault in problem.errors or ()]
    # The detail may tell all of them already.
    lines += [f"  {fault}" for fault in faults if fault not in lines[0]]
    if problem.code == WORKING_DIR_NOT_ALLOWED:
        lines.append("Start the service with CODY_WORKSPACE_ROOTS=DIR[:DIR…] to allow other directories.")
    return "\n".join(lines)
