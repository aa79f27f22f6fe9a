"""What an option's text may be: a duration, a pair, a prompt."""

import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

_UNIT_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)")


class Duration(click.ParamType[float]):
    """Seconds, or a number with its unit: `90`, `90s`, `10m`, `2h`, `1d`."""

    name = "duration"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """In seconds."""
        if isinstance(value, float):
            return value
        form = _DURATION.fullmatch(str(value))
        if not form:
            self.fail(f"{value!r} is not a duration; write 90, 90s, 10m, 2h or 1d", param, ctx)
        return float(form[1]) * _UNIT_SECONDS[form[2]]


class Pair(click.ParamType[tuple[str, str]]):
    """`K=V`."""

    name = "k=v"

    def convert(
        self, value: str | tuple[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """As a tuple."""
        if isinstance(value, tuple):
            return value
        key, equals, rest = value.partition("=")
        if not key or not equals:
            self.fail(f"{value!r} is not K=V", param, ctx)
        return key, rest


def prompt_options(command: CommandT) -> CommandT:
    """The options that `cody run` and `cody prompt` have in common."""
    many: dict[str, Any] = {"multiple": True, "metavar": "PATH"}
    for option in reversed(
        (
            click.option(
                "--prompt", metavar="TEXT", help="What the agent is told, at the head of every turn's prompt."
            ),
            click.option("--prompt-file", type=click.File(), help="The same from a file; - is stdin."),
            click.option("--state-file", **many, help="Put this file into every prompt as current state; repeatable."),
            click.option("--reference-file", **many, help="Put this file into every prompt as reference; repeatable."),
            click.option(
                "--working-dir",
                type=click.Path(exists=True, file_okay=False, resolve_path=True),
                default=".",
                help="Where the agent works; the current directory unless told.",
            ),
        )
    ):
        command = option(command)
    return command
