"""`cody prompt`: the prompt that a turn would get, without running anything and without a service."""

from pathlib import Path
from typing import Any, TextIO

import click
from pydantic import ValidationError

from cody.agents.prompt import PromptError, build
from cody.cli.options import prompt_options
from cody.cli.remote import Failure
from cody.cli.request import PromptOptions
from cody.contract.requests import ContinuousRunRequest, PromptSpec


@click.command("prompt")
@click.option("--request", type=click.File(), help="Take prompt and working_dir from the body of a start request.")
@prompt_options
@click.pass_context
def command(context: click.Context, request: TextIO | None, **given: Any) -> None:
    """Print the prompt that a turn would get now.

    With the options that cody run takes for it, or from the JSON that would be posted (--request).
    """
    if request is None:
        options = PromptOptions(**given)
        root, spec = Path(options.working_dir), _spec(options)
    else:
        _alone(context)
        root, spec = _posted(request.read())
    try:
        click.echo(build(root, spec), nl=False)
    except PromptError as error:
        raise Failure(str(error)) from error


def _alone(context: click.Context) -> None:
    for name in ("prompt", "prompt_file", "state_file", "reference_file"):
        if context.params.get(name):
            raise click.UsageError(f"--request holds the whole prompt, so --{name.replace('_', '-')} has no place")


def _spec(options: PromptOptions) -> PromptSpec:
    try:
        return PromptSpec(
            template=options.template() or "",
            state_files=list(options.state_file),
            reference_files=list(options.reference_file),
        )
    except ValidationError as error:
        raise click.UsageError(_faults(error)) from error


def _posted(body: str) -> tuple[Path | None, PromptSpec]:
    try:
        request = ContinuousRunRequest.model_validate_json(body)
    except ValidationError as error:
        raise click.UsageError(_faults(error)) from error
    return Path(request.working_dir) if request.working_dir else None, request.prompt_spec


def _faults(error: ValidationError) -> str:
    lines = [
        f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg'].removeprefix('Value error, ')}"
        for fault in error.errors()
    ]
    return "this is not a usable prompt\n" + "\n".join(lines)
