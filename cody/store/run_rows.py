"""A run as it is accepted, kept, changed and looked for."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import RowMapping

from cody.contract.errors import ErrorInfo
from cody.contract.events import TraceContext
from cody.contract.lifecycle import RunStatus, transition
from cody.contract.payloads import CompletionVerdict
from cody.contract.requests import ContinuousRunRequest, SingleRunRequest, canonical
from cody.contract.runs import Links, RunKind, Snapshot, Stats
from cody.store.controls import Control

AnyRequest = ContinuousRunRequest | SingleRunRequest


class KeyReused(Exception):
    """The idempotency key came with another body before."""


class ThreadBusy(Exception):
    """Another run is under way on the thread; `run_id` is that one."""

    def __init__(self, run_id: str) -> None:
        super().__init__(run_id)
        self.run_id = run_id


class Overtaken(Exception):
    """A cancel was accepted before the run's other end was recorded; `run` is as it stays."""

    def __init__(self, run: "RunRow") -> None:
        super().__init__(run.run_id)
        self.run = run


@dataclass(frozen=True)
class NewRun:
    """A run as it is accepted."""

    run_id: str
    kind: RunKind
    thread_id: str
    created_at: int
    request: AnyRequest
    trace_context: TraceContext
    idempotency_key: str | None = None

    @property
    def joins_thread(self) -> bool:
        """Whether other runs may belong to its thread; else that is its own, new as the run."""
        return isinstance(self.request, SingleRunRequest) and self.request.thread_id is not None

    @property
    def fingerprint(self) -> str:
        """What the same request with the same defaults always gives."""
        body = json.dumps([self.kind, canonical(self.request)], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(body.encode()).hexdigest()


@dataclass(frozen=True)
class RunRow:
    """A run as it is kept, and the controls that its workflow has not taken notice of yet."""

    row: RowMapping
    pending: Sequence[Control] = ()

    @property
    def run_id(self) -> str:
        """The id."""
        return self.row["id"]

    @property
    def last_control(self) -> int:
        """The newest control that was ever accepted for the run; 0 if none was."""
        return self.row["last_control"]

    @property
    def kind(self) -> RunKind:
        """Continuous or single."""
        return self.row["kind"]

    @cached_property
    def request(self) -> AnyRequest:
        """What the client asked for."""
        model = ContinuousRunRequest if self.kind == "continuous" else SingleRunRequest
        return model.model_validate_json(self.row["request"])

    @cached_property
    def trace_context(self) -> TraceContext:
        """The trace of the request that started the run."""
        return TraceContext.model_validate_json(self.row["trace_context"])

    @property
    def status(self) -> RunStatus:
        """What the workflow last said, and on top of it what was accepted since."""
        status: RunStatus = self.row["status"]
        for control in self.pending:
            status = transition(status, control.action) or status
        return status

    def snapshot(self, links: Links) -> Snapshot:
        """The run as the API shows it."""
        row, request = self.row, self.request.continuous()
        return Snapshot(
            run_id=self.run_id, kind=self.kind, status=self.status, epic_id=row["epic_id"], agent=row["agent"],
            model=row["model"], working_dir=row["working_dir"], thread_id=row["thread_id"],
            created_at=row["created_at"], started_at=row["started_at"], updated_at=row["updated_at"],
            finished_at=row["finished_at"], current_turn=row["current_turn"], attempt=row["attempt"], pid=row["pid"],
            stats=Stats(
                turns=row["turns"], tokens=row["tokens"], prompt_tokens=row["prompt_tokens"],
                completion_tokens=row["completion_tokens"],
            ),
            completion=CompletionVerdict.model_validate_json(row["completion"] or "{}"),
            error=ErrorInfo.model_validate_json(row["error"]) if row["error"] else None,
            budget=request.budget.model_dump(exclude_none=True) or None,
            metadata=request.metadata,
            cursor=row["cursor"], links=links,
        )  # fmt: skip


@dataclass(frozen=True)
class Word:
    """One of the run's own events: its number, type, time (Unix ms) and payload."""

    number: int
    type: str
    at: int
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class RunChange:
    """What the workflow records: its state after the lifecycle event numbered `version`."""

    run_id: str
    version: int
    status: RunStatus
    at: int
    applied_control: int
    started_at: int | None = None
    error: ErrorInfo | None = None
    completion: CompletionVerdict | None = None
    words: Sequence[Word] = ()
    """What the run says of it: kept, so that it can be said again where Redis loses it."""


@dataclass(frozen=True)
class Filters:
    """What to list; `before` is the (created_at, id) that the page before ended with."""

    status: RunStatus | None = None
    epic_id: str | None = None
    agent: str | None = None
    before: tuple[int, str] | None = None
    limit: int = 20
