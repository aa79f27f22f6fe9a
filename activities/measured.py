"""Counts activities where Temporal calls them, so that none of them has to count itself."""

import asyncio
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from cody.metrics import ACTIVITIES, ACTIVITIES_RUNNING


class Measured(Interceptor):
    """For the `interceptors` of a worker."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Stand before the activity."""
        return _Measured(next)


class _Measured(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        name = activity.info().activity_type
        with ACTIVITIES_RUNNING.labels(name).track_inprogress():
            outcome = "failed"
            try:
                result = await super().execute_activity(input)
                outcome = "done"
            except asyncio.CancelledError:
                outcome = "cancelled"
                raise
            finally:
                ACTIVITIES.labels(name, outcome).inc()
            return result
