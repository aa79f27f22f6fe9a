"""`cody verify`: check a running service from end to end, as a client that trusts nothing."""

import asyncio
import sys
import tempfile
from pathlib import Path

import click

from cody.cli.checks import Check, Evidence, compare
from cody.cli.client import Client
from cody.cli.follow import Follower
from cody.cli.options import Duration
from cody.cli.remote import Failure, call, url_option
from cody.cli.sse import Frame
from cody.contract.errors import CursorProblem
from cody.contract.lifecycle import ENDED

_SCRIPT = """\
printf 'Cody verifies itself.\\n'
cat > prompt.txt
printf '{"__cody_event__": {"type": "token_usage", "inputTokens": 3, "outputTokens": 4}}\\n'
printf 'It is done.\\n'
"""
"""What the run's agent does: it speaks, it writes a file, it tells of tokens; any POSIX shell can."""


@click.command("verify", epilog="Exit code: 0, or 1 with what differed.")
@click.option(
    "--working-dir",
    type=click.Path(exists=True, file_okay=False, writable=True, resolve_path=True, path_type=Path),
    default=".",
    help="Where the run gets a directory of its own, removed at the end; the service must allow it.",
)
@click.option("--timeout", type=Duration(), default="60", show_default=True, help="How long the run may take.")
@url_option
def command(working_dir: Path, timeout: float, url: str) -> None:
    """Check a running service: start a run, follow it, and compare what was streamed with what is stored.

    Needs a worker that sees the same files.
    """
    with tempfile.TemporaryDirectory(prefix=".cody-verify-", dir=working_dir) as place:
        checks = call(url, lambda client: _verify(client, Path(place), timeout))
    wrong = [check for check in checks if check.differs]
    for check in wrong:
        click.echo(f"differs: {check.differs}", err=True)
    click.echo("all is well" if not wrong else f"{len(wrong)} of {len(checks)} checks failed")
    sys.exit(1 if wrong else 0)


async def _verify(client: Client, place: Path, seconds: float) -> list[Check]:
    run_id = (await client.start(_request(place), single=True)).run_id
    click.echo(f"✓ started {run_id}")
    try:
        async with asyncio.timeout(seconds):
            frames = await _read(client, run_id)
        click.echo(f"✓ streamed {len(frames)} entries to the end")
        middle = frames[len(frames) // 2]
        evidence = Evidence(
            frames=frames,
            resumed=await _read(client, run_id, middle.cursor),
            after_the_end=await _read(client, run_id, frames[-1].cursor),
            snapshot=await client.get(run_id),
            stored=(await client.responses(run_id)).responses,
            prompt_arrived=(place / "prompt.txt").exists(),
        )
    except TimeoutError as error:
        raise Failure(f"{run_id} did not end within {seconds:g} s; is a worker up?") from error
    finally:
        await _end(client, run_id)
    checks = list(compare(evidence))
    for check in checks:
        click.echo(f"{'✗' if check.differs else '✓'} {check.name}")
    return checks


def _request(place: Path) -> dict[str, object]:
    return {
        "agent": {"kind": "command", "command": ["sh", "-c", _SCRIPT]},
        "working_dir": str(place),
        "prompt": "Say that it is done.",
    }


async def _read(client: Client, run_id: str, start: str | None = None) -> list[Frame]:
    entries = Follower(client, run_id, start=start, trouble=click.echo).frames()
    return [entry async for entry in entries if not isinstance(entry, CursorProblem)]


async def _end(client: Client, run_id: str) -> None:
    """Leave no run behind, also when the check itself was interrupted."""
    if (await client.get(run_id)).status not in ENDED:
        await client.control(run_id, "cancel", reason="verify was interrupted")
