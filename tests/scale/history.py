"""A run's workflow history as Temporal describes it."""

import asyncio
from dataclasses import dataclass

from temporalio.client import Client

from cody.cli.dev.plan import NAMESPACE
from tests.service import Run


@dataclass(frozen=True)
class History:
    """The newest history of a run."""

    afresh: bool
    """It is not the first: the workflow was continued as new."""
    events: int
    bytes: int


def history_of(run: Run) -> History:
    """Look at it."""
    return asyncio.run(_look(run))


async def _look(run: Run) -> History:
    client = await Client.connect(run.service.temporal_address, namespace=NAMESPACE)
    info = (await client.get_workflow_handle(run.id).describe()).raw_description.workflow_execution_info
    return History(info.first_run_id != info.execution.run_id, info.history_length, info.history_size_bytes)
