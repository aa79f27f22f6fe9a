"""Very many runs at once on one worker that takes a few turns at a time."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.scale.account import Account
from tests.scale.crowd import crowd
from tests.scale.meter import Meter
from tests.scale.reading import read_whole
from tests.service import Run, Service

_AT_ONCE = 16
MEMORY_MB = {"worker": 400.0, "api": 150.0, "redis": 100.0, "temporal": 400.0}
_SECONDS = 3600.0


@dataclass(frozen=True)
class Runs:
    runs: int
    turns: int


FULL, SMALL = Runs(1000, 2), Runs(50, 2)


def take(service: Service, size: Runs) -> Account:
    """Start them all, cancel the last one while it waits for its turn, and see all others complete."""
    account = Account()
    places = [service.workspace() for _ in range(size.runs)]

    refused: list[int] = []

    def start(number: int) -> Run:
        """As a client does it that is told to come again: with the same key."""
        body = service.body(["sleep", "0.2"], working_dir=places[number], max_turns=size.turns, epic_id="runs")
        while (answer := service.post(body, key=f"runs-{number}")).status_code == 503:
            refused.append(number)
            time.sleep(1)
        assert answer.status_code == 202, answer.text
        return Run(service, answer.json(), places[number])

    with Meter(service) as meter, ThreadPoolExecutor(_AT_ONCE) as pool:
        began = time.monotonic()
        runs = list(pool.map(start, range(size.runs)))
        account.tell(runs=size.runs, turns=size.turns, all_accepted_seconds=round(time.monotonic() - began, 1))
        account.tell(answered_503=len(refused))
        *others, last = runs
        began = time.monotonic()
        account.tell(cancelled_at=last.snapshot()["status"])
        last.control("cancel").raise_for_status()
        last.wait("cancelled", seconds=_SECONDS)
        account.tell(cancel_of_a_queued_run_seconds=round(time.monotonic() - began, 2))
        ended = sum(run["status"] == "completed" for run in service.listed(epic_id="runs", limit=100))
        account.tell(runs_that_had_ended_by_then=ended)
        account.bound("runs that had ended when a queued one was cancelled", ended, len(others) / 2, "runs")
        with crowd(service.api_port, [f"{run.path}/stream" for run in others], len(others), seconds=300) as live:
            followed = live.wait(_SECONDS)
        for run in others:
            run.wait("completed", seconds=_SECONDS)
    meter.report(account)
    account.memory(meter.grown_mb, MEMORY_MB)
    account.hold("the live streams", next((seen.fault for seen in followed if seen.fault), None))
    completed = sum(1 for _ in service.listed(epic_id="runs", status="completed", limit=100))
    account.equal("runs that completed", completed, len(others))
    for run, seen in zip(others, followed, strict=True):
        whole = read_whole(run)
        account.hold(run.id, whole.fault)
        account.equal(f"turns of {run.id}", whole.types["turn_completed"], size.turns)
        account.equal(f"entries of {run.id} that were followed", seen.entries, whole.entries)
        stored = run.responses()
        account.equal(f"documents of {run.id}", stored, [each.model_dump(mode="json") for each in whole.responses])
    return account
