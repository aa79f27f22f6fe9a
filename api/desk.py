"""What the API does with a run: accept it, control it, and settle what a crash or an outage left open."""

import asyncio
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from api.gateway import Gateway
from api.problems import ProblemError, problem, run_not_found
from cody.clock import now_ms
from cody.contract import errors as e
from cody.contract import tasks as t
from cody.contract.events import TraceContext
from cody.contract.lifecycle import ENDED, Action, RunStatus
from cody.contract.requests import ContinuousRunRequest, ControlOptions, SingleRunRequest
from cody.contract.runs import RunKind
from cody.store import AnyRequest, Control, IllegalControl, KeyReused, NewRun, RunRow, Store, ThreadBusy

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
_CLOSED_BY = {"terminated": e.WORKFLOW_TERMINATED, "failed": e.WORKFLOW_FAILED, "lost": e.WORKFLOW_LOST}
_SETTLE_MS = 60_000
"""A start of which nothing is known for so long was never made; its call gave up long before."""
_KEYS_MS = 48 * 3600 * 1000


Check = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Headers:
    """What a start takes from its request's headers."""

    idempotency_key: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None


class Desk:
    """Runs, between the store and Temporal."""

    def __init__(self, store: Store, gateway: Gateway) -> None:
        self.store = store
        self.gateway = gateway

    async def accept(self, request: AnyRequest, headers: Headers, check: Check | None = None) -> RunRow:
        """Keep the run, then start it. `check` refuses a request whose surroundings are not fit; a repeat of one that
        was accepted is not asked again. Raises TemporalGone if the run is not known to be started.
        """
        kind: RunKind = "continuous" if isinstance(request, ContinuousRunRequest) else "single"
        thread_id = request.thread_id if isinstance(request, SingleRunRequest) else None
        new = NewRun(
            run_id=new_id("run"),
            kind=kind,
            thread_id=thread_id or new_id("thread"),
            created_at=now_ms(),
            request=request,
            trace_context=trace_of(headers),
            idempotency_key=headers.idempotency_key,
        )
        try:
            run = await self.store.runs.known(new) if new.idempotency_key is not None else None
            if run is None:
                if check is not None:
                    await check()
                run, _ = await self.store.runs.accept(new)
        except KeyReused as error:
            detail = f"the Idempotency-Key {headers.idempotency_key!r} came with another request before"
            raise problem(409, e.IDEMPOTENCY_CONFLICT, detail) from error
        except ThreadBusy as error:
            raise thread_busy(new.thread_id, error.run_id) from error
        if not run.row["confirmed"]:
            await self.gateway.start(t.RunState(run_id=run.run_id, limits=limits_of(run)))
            await self.store.runs.confirm(run.run_id)
        return run

    async def control(self, run_id: str, action: Action, options: ControlOptions) -> RunStatus:
        """Accept a control, then signal it; gives the run's status from now on."""
        try:
            accepted = await self.store.controls.accept(run_id, action, options.mode, options.reason, now_ms())
        except IllegalControl as error:
            raise not_possible(action, error.status) from error
        if accepted is None:
            raise run_not_found(run_id)
        status, waiting = accepted
        try:
            taken = await self._signal(waiting)
        except BaseException:
            await self.store.controls.withdraw(waiting[-1].id)  # refused, for whatever reason
            raise
        if not taken:
            await self.store.controls.withdraw(waiting[-1].id)
            raise await self._ended_meanwhile(run_id, action)
        return status

    async def _signal(self, controls: Sequence[Control]) -> bool:
        """Send them in order: what another call has accepted but not signalled yet goes first, and the workflow knows
        what it had already. False if there is no workflow.
        """
        for control in controls:
            if not await self.gateway.signal(control):
                return False
        return True

    async def _ended_meanwhile(self, run_id: str, action: Action) -> ProblemError:
        await self.close_if_dead(run_id)
        run = await self.store.runs.get(run_id)
        # Without a workflow a run that is not over yet has failed, and is being closed.
        return not_possible(action, run.row["status"] if run and run.row["status"] in ENDED else "failed")

    # What is settled later.

    async def settle_starts(self) -> None:
        """Find out about starts whose outcome is unknown: a workflow that exists is confirmed, the rest forgotten."""
        for run_id in await self.store.runs.unsettled(now_ms() - _SETTLE_MS):
            if await self.gateway.fate(run_id) == "lost":
                await self.store.runs.forget(run_id)
            else:
                await self.store.runs.confirm(run_id)

    async def resend_controls(self) -> None:
        """Signal again what was accepted a while ago and is not known to have been applied."""
        for controls in (await self.store.controls.overdue(now_ms() - 5000)).values():
            for control in controls:
                await self.gateway.signal(control)

    async def close_dead_runs(self) -> None:
        """Find runs whose workflow was ended from outside, and bring each to its end."""
        at_once = asyncio.Semaphore(16)

        async def look(run_id: str) -> None:
            async with at_once:
                await self.close_if_dead(run_id)

        async with asyncio.TaskGroup() as tasks:
            for run_id in await self.store.runs.active():
                tasks.create_task(look(run_id))

    async def close_if_dead(self, run_id: str) -> None:
        """A run whose workflow is gone gets one more, which only ends it."""
        fate = await self.gateway.fate(run_id)
        if fate == "alive":
            return
        run = await self.store.runs.get(run_id)
        if run is None or run.row["status"] in ENDED:
            return
        error = e.ErrorInfo(code=_CLOSED_BY[fate], message=f"the run's workflow was ended from outside ({fate})")
        await self.gateway.start(t.RunState(run_id=run_id, limits=limits_of(run), closing=error))

    async def expire_keys(self) -> None:
        """Forget old idempotency keys."""
        await self.store.runs.expire_keys(now_ms() - _KEYS_MS)


def thread_busy(thread_id: str, run_id: str) -> ProblemError:
    """409: turns of a thread come one after the other, and this run of it is not over."""
    detail = f"run {run_id} is under way on thread {thread_id}; the next turn can start when it is over"
    error = problem(409, e.THREAD_BUSY, detail)
    error.problem = e.StartProblem(**error.problem.model_dump(), run_id=run_id)
    return error


def not_possible(action: Action, status: RunStatus) -> ProblemError:
    """409: the run's status does not allow the action."""
    detail = f"{action} is not possible while the run is {status}"
    body = e.TransitionProblem(
        title="Conflict", status=409, detail=detail, code=e.INVALID_TRANSITION, run_status=status
    )
    error = problem(409, e.INVALID_TRANSITION, detail)
    error.problem = body
    return error


def limits_of(run: RunRow) -> t.Limits:
    """What the workflow has to know of the request."""
    request = run.request.continuous()
    return t.Limits(
        kind=run.kind,
        max_turns=request.max_turns,
        loop_delay_seconds=request.loop_delay_seconds,
        turn_timeout_seconds=request.turn_timeout_seconds,
        turn_attempts=request.turn_attempts,
        max_tokens=request.budget.max_tokens,
        max_duration_seconds=request.budget.max_duration_seconds,
    )


def trace_of(headers: Headers) -> TraceContext:
    """The caller's trace, or a new one."""
    given = headers.traceparent
    if given and _TRACEPARENT.fullmatch(given):
        state = headers.tracestate
        return TraceContext(traceparent=given, tracestate=state if state and len(state) <= 512 else None)
    return TraceContext(traceparent=f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01")


def new_id(prefix: str) -> str:
    """An id that sorts by when it was made: milliseconds, then chance."""
    return f"{prefix}_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(8)}"
