"""The options of `cody dev`, and its exit codes."""

import asyncio
import os
import sys
from pathlib import Path

import click

from cody.cli.dev.lock import DataDirInUseError, DataDirLock
from cody.cli.dev.plan import Plan
from cody.cli.dev.ports import PortTakenError, settle
from cody.cli.dev.providers import NoProvidersError
from cody.cli.dev.redis import NoServerError
from cody.cli.dev.service import worker_names
from cody.cli.dev.session import Session
from cody.cli.dev.supervise import StartFailedError

_PORT = click.IntRange(0, 65535)


@click.command(
    "dev",
    epilog="Exit code: 0 after Ctrl-C or SIGTERM, 1 when a part does not come up, 2 when a port or the data directory "
    "is taken. REDIS_URL, DATABASE_URL and CODY_WORKSPACE_ROOTS are honoured; a 0 as port means a free one.",
)
@click.option("--api-port", type=_PORT, default=8000, show_default=True, help="Where the API listens.")
@click.option("--temporal-port", type=_PORT, default=7233, show_default=True, help="Where Temporal listens.")
@click.option("--ui-port", type=_PORT, default=8233, show_default=True, help="Where Temporal's Web UI listens.")
@click.option("--redis-port", type=_PORT, default=0, help="Where Redis listens; a free port unless told.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=".cody",
    show_default=True,
    help="Where everything is kept; a restart with the same directory loses no run.",
)
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="How many workers.")
@click.option(
    "--fake-providers",
    is_flag=True,
    help="Start a local server that looks like OpenAI and Anthropic, and let all agents talk to it: no key is needed.",
)
@click.option("--demo/--no-demo", default=True, show_default=True, help="Show a run when everything is up.")
def command(
    api_port: int,
    temporal_port: int,
    ui_port: int,
    redis_port: int,
    data_dir: Path,
    workers: int,
    fake_providers: bool,
    demo: bool,
) -> None:
    """Run everything on this machine: Temporal with its Web UI, Redis, the API and workers.

    Each is a process of its own with a log in DATA-DIR/logs, and is started again when it dies. Ctrl-C stops them all.
    """
    folder = data_dir.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)  # prompts and the environments of runs are in its files
    asked = {"--api-port": api_port, "--temporal-port": temporal_port, "--ui-port": ui_port, "--redis-port": redis_port}
    if fake_providers:
        asked["--fake-providers"] = 0
    names = worker_names(workers)
    asked |= dict.fromkeys(names, 0)
    try:
        lock = DataDirLock(folder)
        ports = settle(asked)
        plan = Plan(
            data_dir=folder,
            api_port=ports["--api-port"],
            temporal_port=ports["--temporal-port"],
            ui_port=ports["--ui-port"],
            redis_port=ports["--redis-port"],
            workers=workers,
            demo=demo,
            user=dict(os.environ),
            metrics_ports={name: ports[name] for name in names},
            providers_port=ports.get("--fake-providers"),
        )
        session = Session(plan, lock.fd)
    except (PortTakenError, DataDirInUseError, NoServerError, NoProvidersError) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    try:
        asyncio.run(session.run())
    except StartFailedError as error:
        click.echo(f"error: {error}", err=True)
        _leave(1)
    _leave(0)


def _leave(code: int) -> None:
    """End at once: an interpreter that exits beside Temporal's threads sometimes aborts (sdk-python issue 300)."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
