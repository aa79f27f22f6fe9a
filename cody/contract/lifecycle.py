"""The one table of what pause, resume and cancel do to a run; workflow and API both ask it."""

from typing import Final, Literal, get_args

RunStatus = Literal["queued", "running", "pausing", "paused", "cancelling", "completed", "failed", "cancelled"]
Action = Literal["pause", "resume", "cancel"]
PauseMode = Literal["after_turn", "now"]

STATUSES: Final[tuple[RunStatus, ...]] = get_args(RunStatus)
ACTIONS: Final[tuple[Action, ...]] = get_args(Action)
ENDED: Final[frozenset[RunStatus]] = frozenset({"completed", "failed", "cancelled"})

_TABLE: Final[dict[RunStatus, dict[Action, RunStatus]]] = {
    "queued": {"pause": "pausing", "cancel": "cancelling"},
    "running": {"pause": "pausing", "cancel": "cancelling"},
    "pausing": {"pause": "pausing", "resume": "running", "cancel": "cancelling"},
    "paused": {"pause": "paused", "resume": "running", "cancel": "cancelling"},
    "cancelling": {"cancel": "cancelling"},
    "completed": {},
    "failed": {},
    "cancelled": {},
}


def transition(status: RunStatus, action: Action) -> RunStatus | None:
    """The status after `action`: the same one for "no change", None where the action is illegal."""
    return _TABLE[status].get(action)
