"""Routes of a run: start, list, look, control."""

import asyncio
import base64
import binascii
from typing import Annotated

from litestar import Response, get, post
from litestar.datastructures import ResponseHeader
from litestar.params import Parameter

from api.desk import Headers
from api.places import check_place
from api.problems import documented, invalid, run_not_found
from api.state import Door
from cody.agents.patterns import Pattern
from cody.contract import errors as e
from cody.contract.agents import CommandAgent
from cody.contract.lifecycle import Action, RunStatus
from cody.contract.requests import (
    ContinuousRunRequest,
    ControlOptions,
    ControlRequest,
    SingleRunRequest,
)
from cody.contract.runs import Accepted, Controlled, RunList, Snapshot
from cody.store import AnyRequest, Filters, RunRow

KEY_LIMIT = 255

Key = Annotated[
    str | None,
    Parameter(
        header="Idempotency-Key",
        description=f"The same key and body give the same run; 1 to {KEY_LIMIT} printable ASCII characters.",
    ),
]
Traceparent = Annotated[
    str | None,
    Parameter(header="traceparent", description="The run's trace (W3C Trace Context); a new one unless given."),
]
Tracestate = Annotated[str | None, Parameter(header="tracestate", description="Stands beside `traceparent`.")]
LOCATION = [
    ResponseHeader(name="Location", description="Where the run is", documentation_only=True),
]
START_ERRORS = documented(400, 409, 413, 503, conflict=e.StartProblem)
CONTROL_ERRORS = documented(400, 404, 409, 413, 503, conflict=e.TransitionProblem)


@post(
    "/api/runs/continuous", status_code=202, response_headers=LOCATION, responses=START_ERRORS,
    summary="Start a continuous run",
)  # fmt: skip
async def start_continuous(
    data: ContinuousRunRequest,
    door: Door,
    key: Key = None,
    traceparent: Traceparent = None,
    tracestate: Tracestate = None,
) -> Response[Accepted]:
    """Accept a run; it starts as soon as a worker is there."""
    if data.completion.pattern is not None:
        try:
            Pattern(data.completion.pattern)
        except ValueError as error:
            raise invalid("completion.pattern", str(error)) from error
    return await _accept(data, Headers(key, traceparent, tracestate), door)


@post(
    "/api/runs", status_code=202, response_headers=LOCATION, responses=START_ERRORS, summary="Start a run of one turn"
)
async def start_single(
    data: SingleRunRequest, door: Door, key: Key = None, traceparent: Traceparent = None, tracestate: Tracestate = None
) -> Response[Accepted]:
    """Accept a run of one turn, which goes on with the thread that it names; a thread has one run at a time."""
    return await _accept(data, Headers(key, traceparent, tracestate), door)


async def _accept(data: AnyRequest, headers: Headers, door: Door) -> Response[Accepted]:
    if isinstance(data.agent, CommandAgent) and not data.agent.command[0]:
        raise invalid("agent.command.0", "must name a program")
    key = headers.idempotency_key
    if key is not None and not (0 < len(key) <= KEY_LIMIT and key.isascii() and key.isprintable()):
        raise invalid("Idempotency-Key", f"must be 1 to {KEY_LIMIT} printable ASCII characters")

    async def check() -> None:
        if data.working_dir is not None:
            paths = data.named_paths if isinstance(data, ContinuousRunRequest) else ()
            await asyncio.to_thread(check_place, data.working_dir, door.roots, paths)

    run = await door.desk.accept(data, headers, check)
    links = door.linker.run(run.run_id)
    accepted = Accepted(
        run_id=run.run_id, kind=run.kind, thread_id=run.row["thread_id"], created_at=run.row["created_at"], links=links
    )
    return Response(accepted, headers={"Location": links.self_})


@get("/api/runs", responses=documented(400, 503), summary="List runs, newest first")
async def list_runs(
    door: Door,
    status: RunStatus | None = None,
    epic_id: str | None = None,
    agent: str | None = None,
    limit: Annotated[int, Parameter(ge=1, le=100)] = 20,
    cursor: str | None = None,
) -> RunList:
    """A page of snapshots; `next_cursor` of the answer is the `cursor` of the next page."""
    before = _page_start(cursor) if cursor else None
    rows = await door.store.runs.page(Filters(status, epic_id, agent, before, limit))
    more = len(rows) > limit
    return RunList(
        runs=tuple(_snapshot(row, door) for row in rows[:limit]),
        next_cursor=_page_end(rows[limit - 1]) if more else None,
    )


def _page_end(row: RunRow) -> str:
    return base64.urlsafe_b64encode(f"{row.row['created_at']}:{row.run_id}".encode()).decode().rstrip("=")


def _page_start(cursor: str) -> tuple[int, str]:
    try:
        at, _, run_id = (
            base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True).decode().partition(":")
        )
        return min(int(at), 2**62), run_id
    except (ValueError, binascii.Error) as error:
        raise invalid("cursor", "not one that a listing gave") from error


@get("/api/runs/{run_id:str}", responses=documented(400, 404, 503), summary="A run's snapshot")
async def get_run(run_id: str, door: Door) -> Snapshot:
    """The run as it is now, with every control that was accepted."""
    return _snapshot(await require(run_id, door), door)


@get("/api/runs/{run_id:str}/status", responses=documented(400, 404, 503), summary="A run's snapshot")
async def get_status(run_id: str, door: Door) -> Snapshot:
    """The same as the run itself."""
    return _snapshot(await require(run_id, door), door)


@post("/api/runs/{run_id:str}/control", status_code=202, responses=CONTROL_ERRORS, summary="Control a run")
async def control(run_id: str, data: ControlRequest, door: Door) -> Controlled:
    """Pause, resume or cancel; what is accepted is in the next snapshot."""
    return await _control(run_id, data.action, data, door)


@post("/api/runs/{run_id:str}/pause", status_code=202, responses=CONTROL_ERRORS, summary="Pause a run")
async def pause(run_id: str, door: Door, data: ControlOptions | None = None) -> Controlled:
    """Pause after the turn, or with mode `now` at once."""
    return await _control(run_id, "pause", data or ControlOptions(), door)


@post("/api/runs/{run_id:str}/resume", status_code=202, responses=CONTROL_ERRORS, summary="Resume a run")
async def resume(run_id: str, door: Door, data: ControlOptions | None = None) -> Controlled:
    """Go on, or withdraw a pause that has not taken effect."""
    return await _control(run_id, "resume", data or ControlOptions(), door)


@post("/api/runs/{run_id:str}/cancel", status_code=202, responses=CONTROL_ERRORS, summary="Cancel a run")
async def cancel(run_id: str, door: Door, data: ControlOptions | None = None) -> Controlled:
    """End the run and everything that its agent started."""
    return await _control(run_id, "cancel", data or ControlOptions(), door)


async def _control(run_id: str, action: Action, options: ControlOptions, door: Door) -> Controlled:
    status = await door.desk.control(run_id, action, options)
    return Controlled(run_id=run_id, action=action, status=status)


async def require(run_id: str, door: Door) -> RunRow:
    """The run, or 404."""
    row = await door.store.runs.get(run_id)
    if row is None:
        raise run_not_found(run_id)
    return row


def _snapshot(row: RunRow, door: Door) -> Snapshot:
    return row.snapshot(door.linker.run(row.run_id))
