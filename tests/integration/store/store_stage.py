"""What tests of the store are made of: runs, what their workflows record, and saves of a fold."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from pydantic import TypeAdapter

from cody.contract.events import TraceContext
from cody.contract.lifecycle import RunStatus
from cody.contract.requests import ContinuousRunRequest, SingleRunRequest
from cody.fold import Folder
from cody.store import NewRun, Projection, RunChange, RunRow, Store
from tests.parts import new_run_id

TRACE = TraceContext(traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
AT = 1_764_000_000_000
_REQUEST: TypeAdapter[ContinuousRunRequest] = TypeAdapter(ContinuousRunRequest)
_SINGLE: TypeAdapter[SingleRunRequest] = TypeAdapter(SingleRunRequest)


def a_run(run_id: str | None = None, *, at: int = AT, key: str | None = None, **request: Any) -> NewRun:
    """A run of a command, as the API accepts it."""
    body = {"agent": {"kind": "command", "command": ["./agent.sh"]}, "working_dir": "/srv/project"} | request
    run_id = run_id or new_run_id()
    return NewRun(
        run_id=run_id,
        kind="continuous",
        thread_id=f"thread_{run_id}",
        created_at=at,
        request=_REQUEST.validate_python(body),
        trace_context=TRACE,
        idempotency_key=key,
    )


def a_single(
    thread_id: str, run_id: str | None = None, *, at: int = AT, key: str | None = None, **request: Any
) -> NewRun:
    """A run of one turn on a thread, as the API accepts it."""
    agent = {"kind": "codex"}
    body = {"agent": agent, "working_dir": "/srv/project", "prompt": "Go on.", "thread_id": thread_id} | request
    return NewRun(
        run_id=run_id or new_run_id(),
        kind="single",
        thread_id=thread_id,
        created_at=at,
        request=_SINGLE.validate_python(body),
        trace_context=TRACE,
        idempotency_key=key,
    )


async def begin(store: Store, new: NewRun | None = None, status: RunStatus = "running") -> str:
    """A run that was accepted and started; its workflow has recorded number 1."""
    new = new or a_run()
    await store.runs.accept(new)
    await store.runs.confirm(new.run_id)
    if status != "queued":
        await store.runs.record(change(new.run_id, 1, status))
    return new.run_id


def change(run_id: str, version: int, status: RunStatus, **more: Any) -> RunChange:
    """What the workflow records."""
    values: dict[str, Any] = {"at": AT + version, "applied_control": 0} | more
    return RunChange(run_id=run_id, version=version, status=status, **values)


async def row(store: Store, run_id: str) -> RunRow:
    found = await store.runs.get(run_id, unconfirmed=True)
    assert found is not None
    return found


def projection(run_id: str, folder: Folder, pid: int | None = None) -> Projection:
    """What a projector would save of this fold now."""
    header = folder.header()
    assert header is not None
    return Projection(
        run_id=run_id,
        turn=folder.turn,
        header=header,
        checkpoint=folder.checkpoint(),
        changes=folder.take_dirty(),
        pid=pid,
        at=header.updated_at,
    )


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[Store]:
    """A store of one's own on a database, as another process has it."""
    store = Store(url)
    try:
        await store.open()
        yield store
    finally:
        await store.close()
