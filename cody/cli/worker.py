"""`cody worker`: run workflows and do their activities; the wiring of everything that is done."""

import asyncio
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import click
import uvloop
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import PollerBehaviorSimpleMaximum, UnsandboxedWorkflowRunner, Worker, WorkflowRunner

from activities.attempt import Parts
from activities.end import EndActivity
from activities.measured import Measured
from activities.project import ProjectActivity
from activities.record import RecordActivity
from activities.turn import TurnActivity
from cody.agents.base import OutputLimits, Patience
from cody.agents.keepers import Keepers
from cody.agents.registry import agent_for
from cody.agents.sweep import sweep_dead_workers
from cody.archive.archivist import Archivist, Retention
from cody.archive.healing import Healer, HealingLog
from cody.cli.service import fail_fast, logging_to_stderr, open_store, spare_the_collector
from cody.cli.worker_metrics import serve_metrics
from cody.contract import tasks as t
from cody.metrics import HELD_BYTES, WORKER, count_tasks
from cody.settings import Settings
from cody.store import Store
from cody.stream.connection import connect
from cody.stream.hub_figures import HubFigures
from cody.stream.hubs import hub_for
from cody.stream.log import Log
from cody.stream.rings import Rings
from workflows.continuous_run import ContinuousRun

GRACE = timedelta(seconds=7)
"""What a shutdown waits for turns to hand themselves over; `cody dev` has promised to end within 10 s."""

WORKFLOW_RUNNER = UnsandboxedWorkflowRunner()
"""The sandbox imports the workflow's modules anew for every run, which cost more than all else a run does. That they
are pure is proven where it is free: import-linter reads them, and the replay tests run them in the sandbox."""


@click.command()
def command() -> None:
    """Run turns against TEMPORAL_ADDRESS, REDIS_URL and DATABASE_URL; CODY_MAX_TURNS at once."""
    logging_to_stderr()
    with fail_fast() as settings:
        uvloop.run(_work(settings))
    # An interpreter that exits beside Temporal's threads sometimes aborts (sdk-python issue 300).
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


async def _work(settings: Settings) -> None:
    store = await open_store(settings)
    await sweep_dead_workers(grace_seconds=settings.cody_kill_grace_seconds)
    redis = connect(settings.redis_url)
    log, keepers = HealingLog(redis, store), Keepers()
    hub = hub_for(log, settings.redis_url, settings.cody_hub_bytes)
    WORKER.register(HubFigures(hub))
    HELD_BYTES.set_function(lambda: log.holdings.size)
    log.tell = hub.hear
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    count_tasks(loop)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    try:
        serve_metrics(settings)
        client = await Client.connect(
            settings.temporal_address, namespace=settings.temporal_namespace, data_converter=pydantic_data_converter
        )
        async with asyncio.TaskGroup() as tasks:
            archivist = Archivist(store, Log(redis), _retention(settings))
            loops = (hub.run(), archivist.run(), Healer(log, store).run())
            beside = [tasks.create_task(loop) for loop in loops]
            workers = make_workers(client, settings, store, log, hub, keepers)
            spare_the_collector()
            await keepers.stand_by()
            running = [tasks.create_task(worker.run()) for worker in workers]
            await stopping.wait()
            await asyncio.gather(*(worker.shutdown() for worker in workers))
            await asyncio.gather(*running)
            for task in beside:
                task.cancel()
    finally:
        await keepers.close()
        await hub.aclose()
        await redis.aclose()
        await store.close()


def _retention(settings: Settings) -> Retention:
    return Retention(
        young_seconds=settings.cody_log_young_seconds,
        young_bytes=settings.cody_log_young_bytes,
        gather_events=settings.cody_archive_gather_events,
        gather_seconds=settings.cody_archive_gather_seconds,
        archive_seconds=settings.cody_archive_seconds,
    )


def make_workers(
    client: Client,
    settings: Settings,
    store: Store,
    log: Log,
    hub: Rings,
    keepers: Keepers,
    *,
    runner: WorkflowRunner = WORKFLOW_RUNNER,
    cached_workflows: int = 1000,
) -> list[Worker]:
    """One worker a queue, so that a full house of agents never starves the record."""
    grace = settings.cody_kill_grace_seconds
    end, project = EndActivity(store, log, grace), ProjectActivity(store, hub)
    record = RecordActivity(store, log, end, project)
    parts = Parts(
        store=store,
        log=log,
        agent_for=lambda kind: agent_for(kind, keepers),
        kill_grace_seconds=grace,
        limits=OutputLimits(settings.cody_output_max_bytes, settings.cody_output_max_events_per_second),
        environment=os.environ,
        env_allowed=settings.cody_env_allow,
        patience=Patience(settings.cody_provider_answer_seconds, settings.cody_provider_silence_seconds),
    )
    shared: dict[str, Any] = {
        "interceptors": [Measured()],
        "graceful_shutdown_timeout": GRACE,
        "max_heartbeat_throttle_interval": timedelta(seconds=1),
        "default_heartbeat_throttle_interval": timedelta(seconds=1),
    }
    return [
        Worker(
            client,
            task_queue=t.RUN_QUEUE,
            workflows=[ContinuousRun],
            activities=[TurnActivity(parts, record, project).take_turn],
            max_concurrent_activities=settings.cody_max_turns,
            workflow_runner=runner,
            max_cached_workflows=cached_workflows,
            # After a worker's death its runs go on elsewhere: they wait so long for it to come back to what it knows,
            # as they do for the heartbeat of a turn. With less, a busy worker gets ever busier: a task that it is too
            # late for waits again, behind all new runs, and the run is replayed from its beginning.
            sticky_queue_schedule_to_start_timeout=timedelta(seconds=5),
            workflow_task_executor=ThreadPoolExecutor(4),
            # Half for runs that are new here. With one in five, the default, a hundred of them waited for their first
            # workflow task until most of the others had ended, and a cancel waited with it.
            workflow_task_poller_behavior=PollerBehaviorSimpleMaximum(maximum=10),
            nonsticky_to_sticky_poll_ratio=0.5,
            **shared,
        ),
        Worker(client, task_queue=t.RECORD_QUEUE, activities=[record.record, end.end_turn], **shared),
        Worker(client, task_queue=t.PROJECT_QUEUE, activities=[project.project_turn], **shared),
    ]
