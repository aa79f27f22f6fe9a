"""The only speaker to Temporal in the API: start a run's workflow, signal it, ask how it is."""

from datetime import timedelta
from typing import Literal, cast

from temporalio.api.enums.v1 import NamespaceState
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client, RPCError, WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RetryConfig, RPCStatusCode

from api.problems import TemporalGone
from cody.contract import tasks as t
from cody.store import Control

_TIMEOUT = timedelta(seconds=3)
_PATIENT_TIMEOUT = timedelta(seconds=10)
"""A busy server that takes its time is worth more to who starts or controls a run than a quick no."""
_NO_ANSWER = (RPCError, RuntimeError)
"""The SDK reports a first connection that is refused as a RuntimeError."""

Fate = Literal["alive", "terminated", "failed", "lost"]
"""alive: the workflow runs; terminated: by an operator; failed: it ended in any other way; lost: Temporal has none."""


class Gateway:
    """A connection that is made when it is first needed, and again after it broke."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @classmethod
    async def connect(cls, address: str, namespace: str) -> "Gateway":
        """Nothing is sent yet, so that the API is up before Temporal is."""
        retries = RetryConfig(initial_interval_millis=50, max_interval_millis=400, max_elapsed_time_millis=1500)
        client = await Client.connect(
            address, namespace=namespace, data_converter=pydantic_data_converter, lazy=True, retry_config=retries
        )
        return cls(client)

    async def start(self, state: t.RunState) -> None:
        """Start the run's workflow; that it is started already is well. Raises TemporalGone if that is not known."""
        again = state.closing is not None
        try:
            await self._client.start_workflow(
                t.RUN_WORKFLOW,
                state,
                id=state.run_id,
                task_queue=t.RUN_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE
                if again
                else WorkflowIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING
                if again
                else WorkflowIDConflictPolicy.UNSPECIFIED,
                rpc_timeout=_PATIENT_TIMEOUT,
            )
        except WorkflowAlreadyStartedError:
            return
        except _NO_ANSWER as error:
            raise TemporalGone(error) from error

    async def signal(self, control: Control) -> bool:
        """Send a control; False if there is no workflow that could take it. Raises TemporalGone."""
        argument = t.SignalArgument(
            reason=control.reason,
            mode=control.mode,
            control_id=control.id,
            requested_at=control.requested_at,
        )
        try:
            handle = self._client.get_workflow_handle(control.run_id)
            await handle.signal(control.action, argument, rpc_timeout=_PATIENT_TIMEOUT)
        except _NO_ANSWER as error:
            if _is_not_found(error):
                return False
            raise TemporalGone(error) from error
        return True

    async def fate(self, run_id: str) -> Fate:
        """What has become of the run's workflow. Raises TemporalGone."""
        try:
            description = await self._client.get_workflow_handle(run_id).describe(rpc_timeout=_TIMEOUT)
        except _NO_ANSWER as error:
            if _is_not_found(error):
                return "lost"
            raise TemporalGone(error) from error
        status = cast("WorkflowExecutionStatus", description.status)
        if status in {WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.CONTINUED_AS_NEW}:
            return "alive"
        return "terminated" if status == WorkflowExecutionStatus.TERMINATED else "failed"

    async def ping(self) -> None:
        """Raise TemporalGone if the server does not answer, or has lost the namespace."""
        request = DescribeNamespaceRequest(namespace=self._client.namespace)
        try:
            answer = await self._client.workflow_service.describe_namespace(request, timeout=_TIMEOUT)
        except _NO_ANSWER as error:
            raise TemporalGone(error) from error
        if answer.namespace_info.state == NamespaceState.NAMESPACE_STATE_DELETED:
            raise TemporalGone(f"the namespace {self._client.namespace} is being deleted")


def _is_not_found(error: Exception) -> bool:
    return isinstance(error, RPCError) and error.status == RPCStatusCode.NOT_FOUND
