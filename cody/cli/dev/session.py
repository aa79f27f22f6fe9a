"""What happens in which order when `cody dev` runs: start, wait, show, keep, stop."""

import asyncio
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta

import click

from cody.cli.dev.plan import Plan
from cody.cli.dev.providers import NAME as PROVIDERS
from cody.cli.dev.providers import ProvidersProbe, providers_part
from cody.cli.dev.redis import NAME as REDIS
from cody.cli.dev.redis import RedisProbe, redis_part
from cody.cli.dev.service import API, ServiceProbe, api_part, worker_parts
from cody.cli.dev.supervise import Probe, Supervisor
from cody.cli.dev.targets import write_targets
from cody.cli.dev.temporal import NAME as TEMPORAL
from cody.cli.dev.temporal import TemporalProbe, temporal_part
from cody.cli.invocation import cody

SERVER_START = timedelta(seconds=30)
SERVICE_START = timedelta(seconds=60)
STOP = timedelta(seconds=9.25)
"""Below the ten seconds after which SIGTERM must have ended everything."""


class Session:
    """One `cody dev`, from its first line to its last. `lock` is the descriptor that holds the data directory."""

    def __init__(self, plan: Plan, lock: int) -> None:
        self._plan = plan
        self._servers = [temporal_part(plan, lock)]
        if plan.own_redis:
            self._servers.append(redis_part(plan, lock))
        if plan.providers_port is not None:
            self._servers.append(providers_part(plan, plan.providers_port))
        self._service = [api_part(plan), *worker_parts(plan)]
        self._supervisor = Supervisor(click.echo)
        self._stopping = False

    async def run(self) -> None:
        """Until a signal ends it. Raises StartFailedError when a part does not come up; everything is ended then."""
        work = asyncio.create_task(self._work())
        with _on_signal(lambda number: self._interrupt(number, work)):
            try:
                await work
            except asyncio.CancelledError:
                click.echo("\nstopping (Ctrl-C once more kills everything at once)")
            finally:
                self._stopping = True
                waves = ([part.name for part in self._service], [part.name for part in self._servers])
                await self._supervisor.stop(waves, STOP)
        click.echo("stopped")

    def _interrupt(self, number: signal.Signals, work: asyncio.Task[None]) -> None:
        """Stop; a Ctrl-C while that goes on means at once."""
        if not self._stopping:
            self._stopping = True
            work.cancel()
        elif number == signal.SIGINT:
            self._supervisor.hurry()

    async def _work(self) -> None:
        await self._start()
        self._welcome()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._supervisor.watch())
            if self._plan.demo:
                from cody.cli.dev import demo  # a client of its own, for half a second of a start that may not want it

                tasks.create_task(demo.show(self._plan.url, self._plan.demos, click.echo))

    async def _start(self) -> None:
        plan = self._plan
        click.echo(f"starting {', '.join(part.name for part in self._servers)}")
        await self._supervisor.start(*self._servers)
        waits = [self._up(TEMPORAL, TemporalProbe(plan.temporal_address))]
        if plan.own_redis:
            waits.append(self._up(REDIS, RedisProbe(plan.redis_port)))
        if plan.providers_port is not None:
            waits.append(self._up(PROVIDERS, ProvidersProbe(plan.providers_port)))
        await asyncio.gather(*waits)
        names = [part.name for part in self._service]
        plan.write_addresses()
        write_targets(plan)
        click.echo(f"starting {', '.join(names)}")
        await self._supervisor.start(*self._service)
        await self._supervisor.ready(API, ServiceProbe(plan.url), SERVICE_START, needs=names)
        self._supervisor.keep(*(part.name for part in (*self._servers, *self._service)))

    async def _up(self, name: str, probe: Probe) -> None:
        begin = asyncio.get_running_loop().time()
        await self._supervisor.ready(name, probe, SERVER_START)
        click.echo(f"{name} is up after {asyncio.get_running_loop().time() - begin:.1f} s")

    def _welcome(self) -> None:
        plan = self._plan
        click.echo(f"ready {plan.url}")
        click.echo(f"  Temporal Web UI  {plan.ui_url}")
        click.echo(f"  Data and logs    {plan.data_dir}, {plan.data_dir / 'logs'}")
        click.echo(f"  Start a run      {cody(plan.url)} run -- ./my-agent.sh   (in or below {plan.roots})")
        if plan.providers_url is not None:
            example = "run --once --agent openai --model gpt-5-mini --prompt 'What is here?'"
            click.echo(
                f"  Fake providers   {plan.providers_url}: every agent works without a key, and nothing is sent out"
            )
            click.echo(f"  Try one          {cody(plan.url)} {example}")
        click.echo("  Stop everything  Ctrl-C")


@contextmanager
def _on_signal(act: Callable[[signal.Signals], None]) -> Generator[None]:
    """Call `act` for what asks a program to end: Ctrl-C, SIGTERM, and the terminal's closing."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, act, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
