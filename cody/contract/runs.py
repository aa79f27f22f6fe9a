"""The run as a client sees it: the answer to a start, the snapshot, the listing, the answer to a control."""

from typing import Any, Literal

from pydantic import Field

from cody.contract.base import Maybe, Millis, Model
from cody.contract.errors import ErrorInfo
from cody.contract.lifecycle import Action, RunStatus
from cody.contract.payloads import CompletionVerdict

RunKind = Literal["continuous", "single"]


class Links(Model):
    """Where to go from here; `temporal` is the run's page in the Temporal Web UI."""

    self_: str = Field(alias="self", serialization_alias="self")
    status: str
    stream: str
    control: str
    responses: str
    temporal: str | None


class Accepted(Model):
    """202: the run exists and will run, whether or not a worker is up."""

    run_id: str
    status: Literal["queued"] = "queued"
    kind: RunKind
    thread_id: str
    created_at: Millis
    links: Links


class Stats(Model):
    """What the run has done and used so far; every attempt counts, nothing twice."""

    turns: int = 0
    tokens: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Snapshot(Model):
    """A run at a glance; `cursor` is the last log entry folded into its documents."""

    run_id: str
    kind: RunKind
    status: RunStatus
    epic_id: str | None = None
    agent: str
    model: str | None = None
    working_dir: str | None = None
    thread_id: str
    created_at: Millis
    started_at: Millis | None = None
    updated_at: Millis
    finished_at: Millis | None = None
    current_turn: int = 0
    attempt: int = 0
    pid: int | None = None
    stats: Stats = Stats()
    completion: CompletionVerdict = CompletionVerdict()
    error: Maybe[ErrorInfo] = None
    budget: dict[str, Any] | None = None
    metadata: dict[str, str] = Field(default={})
    cursor: str | None = None
    links: Links


class RunList(Model):
    """A page of runs, newest first; `next_cursor` is null on the last page."""

    runs: tuple[Snapshot, ...]
    next_cursor: str | None


class Controlled(Model):
    """202: the control was accepted; `status` is what the run is in from now on."""

    run_id: str
    action: Action
    status: RunStatus
