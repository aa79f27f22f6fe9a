"""`cody run`: start a run in the current directory and watch it."""

import sys
from collections.abc import Callable
from typing import Any

import click

from cody.cli.agent_options import OPTIONS
from cody.cli.client import Client
from cody.cli.ending import EXIT_CODES, EXIT_CODES_HELP
from cody.cli.invocation import cody
from cody.cli.options import CommandT, Duration, Pair, prompt_options
from cody.cli.phrases import joined
from cody.cli.remote import call, url_option
from cody.cli.request import RunOptions
from cody.cli.watch import detached
from cody.cli.watching import ForMachine, ForPerson, watch
from cody.contract.lifecycle import RunStatus
from cody.contract.runs import Accepted

_BOUNDS: tuple[Callable[[Any], Any], ...] = (
    click.option("--max-turns", type=int, metavar="N", help="End after so many turns."),
    click.option("--loop-delay", type=Duration(), metavar="TIME", help="Pause between turns (90, 10m, 2h, 1d)."),
    click.option("--turn-timeout", type=Duration(), metavar="TIME", help="The longest that one attempt may take."),
    click.option("--attempts", type=int, metavar="N", help="Attempts at a turn that fails in a way worth a retry."),
    click.option("--log", metavar="PATH", help="The log that says when the goal is met."),
    click.option("--pattern", metavar="RE2", help="A new line of --log that matches ends the run."),
    click.option("--stop-file", metavar="PATH", help="This file appearing ends the run; .stop unless told."),
    click.option("--max-tokens", type=int, metavar="N", help="End when so many tokens are used."),
    click.option("--max-duration", type=Duration(), metavar="TIME", help="End after so long, pauses not counted."),
)
_REPORTS: tuple[Callable[[Any], Any], ...] = (
    click.option("--watch", multiple=True, metavar="PATH", help="Report growth of this log; repeatable."),
    click.option("--include", multiple=True, metavar="GLOB", help="Report changes of these files; repeatable."),
    click.option("--exclude", multiple=True, metavar="GLOB", help="But not of these; repeatable."),
    click.option("--env", multiple=True, type=Pair(), metavar="K=V", help="Environment of the agent; repeatable."),
    click.option("--epic", metavar="ID", help="What this run belongs to, for cody runs --epic."),
    click.option("--meta", multiple=True, type=Pair(), metavar="K=V", help="Keep this with the run; repeatable."),
    click.option("--once", is_flag=True, help="A single turn, also of a command."),
    click.option("--thread", metavar="ID", help="A single turn that goes on with this conversation."),
    click.option("--idempotency-key", metavar="KEY", help="The same key and options start the run only once."),
    click.option("--detach", is_flag=True, help="Start it, print its id, and leave."),
    click.option("--json", "as_json", is_flag=True, help="One event's JSON a line (with --detach: the answer's)."),
)


def _run_options(command: CommandT) -> CommandT:
    """All of them, in the order of the help: who, what, how long, and what is told of it."""
    for option in reversed((*OPTIONS, prompt_options, *_BOUNDS, *_REPORTS)):
        command = option(command)
    return command


@click.command("run", epilog=EXIT_CODES_HELP)
@click.argument("command", nargs=-1, metavar="[-- CMD…]")
@_run_options
@url_option
def command(url: str, idempotency_key: str | None, detach: bool, as_json: bool, **given: Any) -> None:
    """Start a run in the current directory and watch it; Ctrl-C leaves it running.

    \b
    cody run --log codys-log.md --pattern '^ALL DONE$' -- ./my-agent.sh
    cody run --agent codex --prompt-file task.md --max-turns 5
    cody run --agent openai --model gpt-5-mini --prompt 'What is in this directory?'
    cody run --once --prompt 'Say hello' -- cat

    CMD runs in the working directory and gets the prompt on stdin, turn after turn, until one of the conditions below
    is met or somebody cancels the run. Another agent takes one turn, unless there is a condition, --loop-delay or a
    --state-file; --thread goes on with the conversation of an earlier run.
    """  # noqa: D301  # \b is click's mark for "keep these lines as they are"
    options = RunOptions(**given)
    body, single = options.start()
    if detach:
        _announce_and_leave(
            call(url, lambda client: client.start(body, single=single, key=idempotency_key)),
            as_json,
            url,
        )
        return
    output = ForMachine() if as_json else ForPerson(cody=cody(url))
    started: list[str] = []

    async def work(client: Client) -> RunStatus:
        run = await client.start(body, single=single, key=idempotency_key)
        started.append(run.run_id)
        output.begin(body["agent"]["kind"])
        output.note(joined(run.run_id, body.get("working_dir"), run.links.temporal))
        status = await watch(client, run.run_id, output)
        if single and body["agent"]["kind"] != "command":
            output.note(f"go on with it: --thread {run.thread_id}")
        return status

    try:
        status = call(url, work)
    except KeyboardInterrupt:
        if not started:
            raise
        detached(output, started[0], url)
        return
    sys.exit(EXIT_CODES[status])


def _announce_and_leave(run: Accepted, as_json: bool, url: str) -> None:
    if as_json:
        click.echo(run.model_dump_json(by_alias=True))
    else:
        click.echo(run.run_id)
        click.echo(f"watch it: {cody(url)} watch {run.run_id} · end it: {cody(url)} cancel {run.run_id}", err=True)
