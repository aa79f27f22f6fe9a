"""How a run ended: one clear last line, and the exit code that a script can act on."""

from typing import Final

from cody.cli.phrases import clean, count, duration, joined, one_line
from cody.contract import payloads as p
from cody.contract.events import Event
from cody.contract.lifecycle import RunStatus
from cody.contract.runs import Snapshot

STATUS_AFTER: Final[dict[str, RunStatus]] = {
    "run_completed": "completed",
    "run_failed": "failed",
    "run_cancelled": "cancelled",
}
"""The status that each terminal event leaves the run in."""

EXIT_CODES: Final[dict[RunStatus, int]] = {"completed": 0, "failed": 1, "cancelled": 3}
"""Of `cody run` and `cody watch`; 3 because 2 is a usage error everywhere."""

EXIT_CODES_HELP: Final = "Exit code: 0 the run completed (or you left it with Ctrl-C), 1 it failed, 3 it was cancelled."

_REASONS: Final = {
    "completion": "the goal is met",
    "stop_file": "the stop file appeared",
    "max_turns": "all its turns are done",
    "budget": "its budget is used up",
    "single_turn": "its one turn is done",
}


def last_line(status: RunStatus, terminal: Event[p.Payload] | None, snapshot: Snapshot | None) -> str:
    """What happened, why, and what it took; as much of it as the terminal event and the snapshot tell."""
    return joined(_what(status, terminal, snapshot), _took(snapshot))


def _what(status: RunStatus, terminal: Event[p.Payload] | None, snapshot: Snapshot | None) -> str:
    match terminal.payload if terminal else None:
        case p.RunCompleted() as completed:
            said = completed.completion.line if completed.completion else None
            return f"completed: {_REASONS[completed.reason]}" + (f" ({one_line(said)})" if said else "")
        case p.RunFailed() as failed:
            return f"failed: {clean(failed.error.message)} ({failed.error.code})"
        case p.RunCancelled() as cancelled:
            return f"cancelled ({one_line(cancelled.reason)}): {_receipt(cancelled.receipt)}"
        case _:
            error = snapshot.error if snapshot else None
            return f"{status}: {clean(error.message)} ({error.code})" if error else status


def _receipt(receipt: p.Receipt) -> str:
    if receipt.survivors:
        return f"{_processes(receipt.survivors)} still there: {', '.join(map(str, receipt.survivors))}"
    if receipt.worker_lost:
        return "its worker is lost, and sweeps when it starts again"
    took = duration(receipt.quiet_at - receipt.requested_at)
    return f"quiet after {took}, {_processes(receipt.reaped)} ended, none left"


def _processes(pids: tuple[int, ...]) -> str:
    return count(len(pids), "process", "processes")


def _took(snapshot: Snapshot | None) -> str | None:
    if snapshot is None:
        return None
    since = snapshot.started_at or snapshot.created_at
    return joined(
        count(snapshot.stats.turns, "turn"),
        count(snapshot.stats.tokens, "token") if snapshot.stats.tokens else None,
        duration(snapshot.finished_at - since) if snapshot.finished_at else None,
    )
