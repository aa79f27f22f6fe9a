"""A worker in this process on a real Temporal server, Redis and SQLite, so that a test chooses how workflows run."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from api.desk import Desk, Headers
from api.gateway import Gateway
from cody.agents.keepers import Keepers
from cody.archive.healing import HealingLog
from cody.cli.dev.ports import free_port
from cody.cli.dev.temporal import TemporalProbe
from cody.cli.worker import make_workers
from cody.contract.events import TERMINAL
from cody.contract.lifecycle import ENDED, Action, RunStatus
from cody.contract.requests import ContinuousRunRequest, ControlOptions
from cody.settings import Settings
from cody.store import RunRow, Store
from cody.stream.hub import Hub
from cody.stream.log import Log
from tests.parts import connected, running_redis, until

SUGGEST_CONTINUE_AS_NEW = 60
"""Events of a history after which this server suggests to continue as new: a few turns instead of hundreds."""

SANDBOX = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_passthrough_modules("cody", "pydantic", "pydantic_core")
)
"""Imports `workflows` anew for every run and forbids what is not deterministic; production does without it."""


@contextmanager
def running_temporal(folder: Path) -> Generator[str]:
    """A dev server; gives its address."""
    port = free_port()
    options = ("--ip", "127.0.0.1", "--port", str(port), "--headless", "--log-level", "error")
    settings = (
        f"limit.historyCount.suggestContinueAsNew={SUGGEST_CONTINUE_AS_NEW}",
        "frontend.WorkerCommandsEnabled=true",
        "system.enableCancelActivityWorkerCommand=true",
        "history.transferProcessorMaxPollRPS=2000",
        "history.timerProcessorMaxPollRPS=2000",
    )
    dynamic = [word for setting in settings for word in ("--dynamic-config-value", setting)]
    binary = Path(sys.executable).parent / "temporal"
    with (folder / "temporal.log").open("wb") as log:
        process = subprocess.Popen((str(binary), "server", "start-dev", *options, *dynamic), stdout=log, stderr=log)
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@dataclass
class Stack:
    """The parts, and the hands that a scenario needs."""

    client: Client
    store: Store
    hub: Hub
    desk: Desk
    folder: Path
    hire: Callable[[], Sequence[Worker]]
    """Makes the workers; a worker that has ended cannot start again."""
    workers: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start_work(self) -> None:
        """Let new workers begin."""
        for worker in self.hire():
            await self.workers.enter_async_context(worker)

    @asynccontextmanager
    async def nobody_at_work(self) -> AsyncGenerator[None]:
        """No worker for the block; others come after it."""
        await self.workers.aclose()
        yield
        await self.start_work()

    async def start(self, script: str, **options: object) -> str:
        """Start a run of `bash -c script` in a directory of its own."""
        return await self.start_agent({"kind": "command", "command": ["bash", "-c", script]}, **options)

    async def start_agent(self, agent: Mapping[str, object], **options: object) -> str:
        """Start a run of this agent in a directory of its own."""
        place = self.folder / f"work{len(list(self.folder.iterdir()))}"
        place.mkdir()
        body = {"agent": agent, "working_dir": str(place), **options}
        run = await self.desk.accept(ContinuousRunRequest.model_validate_json(json.dumps(body)), Headers())
        return run.run_id

    async def control(self, run_id: str, action: Action, **options: str) -> RunStatus:
        """Pause, resume or cancel as the API does."""
        return await self.desk.control(run_id, action, ControlOptions.model_validate(options))

    async def get(self, run_id: str) -> RunRow:
        """The run's row."""
        row = await self.store.runs.get(run_id)
        assert row is not None
        return row

    async def reaches(self, run_id: str, status: RunStatus, seconds: float = 30) -> RunRow:
        """Wait until the run is in this status."""

        async def there() -> RunRow | None:
            row = await self.get(run_id)
            return row if row.status == status else None

        return await until(there, seconds, f"{run_id} is {status}")

    async def has_pid(self, run_id: str) -> int:
        """Wait until the run's agent runs."""

        async def pid() -> int | None:
            return (await self.get(run_id)).row["pid"]

        return await until(pid, what=f"{run_id} has an agent")

    async def types(self, run_id: str) -> Sequence[str]:
        """The types of the log's events, which are dense; of a run that is over, to its terminal one."""
        if (await self.get(run_id)).status in ENDED:
            await until(lambda: self._has_ended(run_id))  # the store is told first
        entries = await self.hub.log.after(run_id, 0, 100_000)
        assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
        return [entry.type for entry in entries]

    async def _has_ended(self, run_id: str) -> bool:
        last = await self.hub.log.last(run_id)
        return last is not None and last.type in TERMINAL


@asynccontextmanager
async def running_stack(
    folder: Path,
    address: str,
    redis_url: str,
    *,
    runner: WorkflowRunner = SANDBOX,
    cached_workflows: int = 1000,
    max_turns: int = 16,
) -> AsyncGenerator[Stack]:
    """Workers and a desk; everything is closed at the end."""
    settings = Settings(
        redis_url=redis_url,
        temporal_address=address,
        database_url=f"sqlite:///{folder / 'cody.db'}",
        cody_kill_grace_seconds=1,
        cody_max_turns=max_turns,
    )
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(connected(redis_url))
        blocking = await stack.enter_async_context(connected(redis_url, blocking=True))
        store, hub, keepers = Store(settings.database_url), Hub(Log(redis), blocking), Keepers()
        stack.push_async_callback(store.close)
        stack.push_async_callback(keepers.close)
        await store.open()
        await until(lambda: _serves(address), what=f"Temporal serves at {address}")
        client = await Client.connect(address, data_converter=pydantic_data_converter, identity="a worker")
        desk = Desk(store, await Gateway.connect(address, "default"))
        following = asyncio.create_task(hub.run())
        hire = partial(
            make_workers,
            *(client, settings, store, HealingLog(redis, store), hub, keepers),
            runner=runner,
            cached_workflows=cached_workflows,
        )
        made = Stack(client, store, hub, desk, folder, hire)
        await made.start_work()
        try:
            yield made
        finally:
            await made.workers.aclose()
            following.cancel()
            await asyncio.wait((following,))


async def _serves(address: str) -> bool:
    return await TemporalProbe(address)() is None


@contextmanager
def running_parts(folder: Path) -> Generator[tuple[str, str]]:
    """Temporal and Redis; gives the address and the URL."""
    folder.mkdir(parents=True, exist_ok=True)
    redis = folder / "redis"
    redis.mkdir()
    with running_redis(redis) as server, running_temporal(folder) as address:
        yield address, server.url
