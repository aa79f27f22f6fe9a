"""What a workflow and its activities say to each other; kept small, as Temporal keeps every message for ever.

Large or secret things (the request, the prompt, the environment, the documents) stay in the store and are named by
the run's id.
"""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from cody.contract.base import Millis, Model
from cody.contract.errors import ErrorInfo
from cody.contract.lifecycle import RunStatus
from cody.contract.payloads import CompletionReason, CompletionVerdict
from cody.contract.requests import ControlOptions
from cody.contract.runs import RunKind

RUN_WORKFLOW: Final = "ContinuousRun"

RUN_QUEUE: Final = "cody"
"""Workflows and their turns: few turns at a time, which start eagerly on the workflow's worker where that has room."""
RECORD_QUEUE: Final = "cody-records"
"""The short activities, so that a full house of agents never starves the record."""
PROJECT_QUEUE: Final = "cody-projectors"
"""Projectors of turns whose attempt could not see to that itself."""

TAKE_TURN: Final = "take_turn"
PROJECT_TURN: Final = "project_turn"
RECORD: Final = "record"
END_TURN: Final = "end_turn"

HANDED_OVER: Final = "handed_over"
"""Type of the failure by which a worker that shuts down gives a turn back; it counts as no failure of the agent."""


class Said(Model):
    """One of the run's own events, before it is numbered: its payload is shaped by `type`."""

    type: str
    at: Millis
    payload: dict[str, Any]


class Limits(Model):
    """What of a request the workflow needs to decide what happens next."""

    kind: RunKind
    max_turns: int | None = None
    loop_delay_seconds: float = 0.0
    turn_timeout_seconds: float = 3600.0
    turn_attempts: int = 3
    max_tokens: int | None = None
    max_duration_seconds: float | None = None


class RunState(BaseModel):
    """All that a run is, over every continue-as-new too. The workflow changes it in place."""

    model_config = ConfigDict(extra="ignore")

    run_id: str
    limits: Limits
    status: RunStatus = "queued"
    closing: ErrorInfo | None = None
    """Set where an earlier workflow of this run was ended from outside: only bring the run to its end, failed."""

    turn: int = 0
    """The turn under way or to be repeated, else the last one done."""
    attempt: int = 0
    """The newest attempt of `turn`."""
    failures: int = 0
    """Of the agent, in `turn`."""
    turn_open: bool = False
    """`turn` is not done: the next attempt repeats it."""

    started_at: Millis | None = None
    paused_ms: int = 0
    pause_now: bool = False
    reason: str = "manual"
    """Of the newest control."""
    requested_at: Millis = 0
    """When the cancel was asked for."""
    applied_control: int = 0
    """The last of the API's controls that was applied; each is applied once."""

    said: int = 0
    """How many numbers of the run's own writer are handed out."""
    unsaid: list[Said] = Field(default_factory=list[Said])
    """Events that have a number (the last ones of `said`) and are not recorded yet."""

    cursor: int = 0
    """SEQ up to which the turns are projected."""
    turn_after: int = 0
    """SEQ after which everything of `turn` stands."""
    tokens: int = 0
    carry: dict[str, Any] = Field(default_factory=dict[str, Any])
    """What the agent leaves for its next turn, such as its session's id."""
    unproven: bool = False
    """An attempt of this run ended without proof that nothing of it was left."""


class RunResult(Model):
    """How a run ended, for who looks at its workflow."""

    status: RunStatus
    turns: int
    tokens: int
    reason: CompletionReason | str


class SignalArgument(ControlOptions):
    """Argument of the signals `pause`, `resume` and `cancel`; a person leaves out what only the API knows."""

    control_id: int | None = None
    requested_at: Millis | None = None


class ProjectTask(Model):
    """Fold and save this turn from after SEQ `after` until an attempt from `first_attempt` on ended."""

    run_id: str
    turn: int
    first_attempt: int
    after: int


class ProjectReport(Model):
    """Where the projector came to, and what the run has used up to there."""

    cursor: int
    tokens: int
    attempt: int
    """The attempt whose end it saw; one that came later is not folded yet."""


class RecordTask(Model):
    """Write down where the run is, and append what it said: numbers `first` and up.

    `first` 0 is for a run whose workflow, which kept count, is gone: the numbers are then the next free ones.
    """

    run_id: str
    status: RunStatus
    first: int
    said: tuple[Said, ...]
    at: Millis
    applied_control: int
    started_at: Millis | None = None
    error: ErrorInfo | None = None
    completion: CompletionVerdict | None = None


class RecordReport(Model):
    """`overtaken`: a cancel was accepted before this end of the run could be written, so it was not written.

    `last_control` is the newest control that was accepted for the run: a number above it was never given by the API.
    """

    overtaken: bool = False
    last_control: int | None = None


class TurnTask(Model):
    """Do this turn. `first_attempt` is the number of this activity's first execution."""

    run_id: str
    turn: int
    first_attempt: int
    failures: int
    turn_attempts: int
    applied_control: int
    started_at: Millis
    paused_ms: int = 0
    tokens: int = 0
    """Of the run so far."""
    after: int = 0
    """SEQ after which everything of the turn stands."""
    carry: dict[str, Any] = Field(default_factory=dict[str, Any])
    first: RecordTask | None = None
    """What the run has said and is not known to be recorded: it stands in the log before the turn does."""
    unproven: bool = False
    """An attempt before this one did not prove that nothing of it is left: look for it."""


class TurnReport(Model):
    """How an attempt ended. `failed` and `completed` are in the log already, `stopped` is for the run to write.

    One that was not `begun` left no trace: the run is to stop first. `awaits` is then the number of an accepted control
    whose signal is on its way, if it is that.
    """

    attempt: int
    begun: bool = True
    awaits: int = 0
    outcome: Literal["completed", "failed", "stopped"]
    error: ErrorInfo | None = None
    completion: CompletionVerdict = CompletionVerdict()
    carry: dict[str, Any] = Field(default_factory=dict[str, Any])
    quiet_at: Millis = 0
    signals: tuple[str, ...] = ()
    reaped: tuple[int, ...] = ()
    survivors: tuple[int, ...] = ()
    worker_lost: bool = False
    projected: ProjectReport | None = None
    """That the attempt's end is in the documents; None leaves it to `project_turn`."""


class KeptEntry(Model):
    """An entry of the attempt that keeps it; `event` is its JSON."""

    seq: int
    type: str
    event: str


class KeptReport(TurnReport):
    """The report of an attempt that did its turn, kept before its last `words` are in the log; all else of it is."""

    opening: tuple[KeptEntry, ...] = ()
    """How its response began, as it stands in the log: for one that has lost it together with the attempt's worker."""
    words: tuple[Said, ...] = ()


class EndTask(Model):
    """Write the end of the newest attempt of `turn`, if it has none: aborted for `reason`, or failed with `error`.

    `turn` None is whichever is newest, for a run whose workflow is gone.
    """

    run_id: str
    turn: int | None
    reason: str = "manual"
    error: ErrorInfo | None = None
    will_retry: bool = False
    sweep: bool = False
    """The worker is lost: end what its agent left on this machine."""


class EndReport(Model):
    """The newest turn and attempt in the log, and what a sweep reaped."""

    turn: int
    attempt: int
    newest_claim: int
    reaped: tuple[int, ...] = ()
    survivors: tuple[int, ...] = ()
