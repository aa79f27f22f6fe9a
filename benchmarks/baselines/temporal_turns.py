"""What a bare workflow of no-op activities costs; its worker is a process of its own."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from uuid import uuid4

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

_QUEUE = "bench-bare-turns"


@activity.defn(name="bare_turn")
async def bare_turn() -> float:
    """Wall-clock seconds at which the activity's first line ran."""
    return time.time()


@workflow.defn(name="BareTurns")
class BareTurns:
    """So many turns, one after the other."""

    @workflow.run
    async def run(self, turns: int) -> float:
        """Gives when the first turn began."""
        first = 0.0
        for _ in range(turns):
            at = await workflow.execute_activity(bare_turn, start_to_close_timeout=timedelta(seconds=30))
            first = first or at
        return first


class BareTurnsClient:
    """Starts bare runs."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._names = (f"bare-{uuid4().hex}-{number}" for number in count())

    @classmethod
    async def connect(cls, address: str) -> "BareTurnsClient":
        return cls(await Client.connect(address))

    async def start_to_activity_ms(self) -> float:
        """From just before `start_workflow` to the activity's first line."""
        began = time.time()
        return (await (await self._start(1)).result() - began) * 1000

    async def turn_ms(self, turns: int) -> float:
        """Milliseconds per turn of one run."""
        began = time.perf_counter()
        await (await self._start(turns)).result()
        return (time.perf_counter() - began) * 1000 / turns

    async def turns_per_second(self, runs: int, turns: int) -> float:
        """Of many runs at once."""
        began = time.perf_counter()
        started = [await self._start(turns) for _ in range(runs)]
        await asyncio.gather(*(handle.result() for handle in started))
        return runs * turns / (time.perf_counter() - began)

    async def _start(self, turns: int) -> WorkflowHandle[BareTurns, float]:
        return await self._client.start_workflow(BareTurns.run, turns, id=next(self._names), task_queue=_QUEUE)


@contextmanager
def working(address: str) -> Generator[None]:
    """The worker of bare runs, up for as long as the context lasts."""
    command = [sys.executable, "-m", "benchmarks.baselines.temporal_turns", address]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout is None or process.stdout.readline().strip() != "ready":
            raise RuntimeError("the worker of bare runs does not come up")
        yield
    finally:
        process.kill()
        process.wait()


async def _work(address: str) -> None:
    client = await Client.connect(address)
    async with Worker(client, task_queue=_QUEUE, workflows=[BareTurns], activities=[bare_turn]):
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
    os._exit(0)  # an interpreter that exits beside Temporal's threads sometimes aborts


if __name__ == "__main__":
    asyncio.run(_work(sys.argv[1]))
