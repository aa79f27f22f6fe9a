"""Very many turns of one run: its history starts afresh again and again, and the last turn costs what the first did."""

from dataclasses import dataclass

from tests.scale.account import Account
from tests.scale.books import last_turn
from tests.scale.history import history_of
from tests.scale.meter import Meter
from tests.scale.reading import check_again, follow
from tests.service import Service

HISTORY_EVENTS = 5000
"""Temporal suggests to start afresh at 4,096; at 51,200 it ends a workflow."""
EVENTS_OF_A_TURN = 6
MEMORY_MB = {"worker": 80.0, "api": 80.0, "redis": 60.0, "temporal": 300.0}
HALF_MB = 20.0
"""By then everything is warm: what grows on would grow for ever."""
_SECONDS = 7200.0


@dataclass(frozen=True)
class Turns:
    turns: int


FULL, SMALL = Turns(10_000), Turns(100)


def take(service: Service, size: Turns) -> Account:
    """A run of `true`, turn after turn, and a client that follows it."""
    account = Account()
    run = service.start(["true"], max_turns=size.turns, epic_id="turns")
    with service.redis() as redis, Meter(service, lambda: last_turn(redis, run)) as meter:
        followed = follow(run, _SECONDS)
    meter.report(account)
    account.cost("turn", *meter.tenths())
    account.memory(meter.grown_mb, MEMORY_MB)
    account.bound("worker grew in the second half", meter.second_half_mb["worker"], HALF_MB, "MB")
    account.bound("api grew in the second half", meter.second_half_mb["api"], HALF_MB, "MB")
    whole = check_again(run, followed, account, MEMORY_MB["api"])
    (listed,) = service.listed(epic_id="turns")
    history = history_of(run)
    account.tell(turns=size.turns, history_events=history.events)
    account.equal("turns", whole.types["turn_completed"], size.turns)
    account.equal("responses", len(whole.responses), size.turns)
    account.equal("turns of the listing", listed["stats"]["turns"], size.turns)
    if size.turns * EVENTS_OF_A_TURN > HISTORY_EVENTS:
        account.equal("the history started afresh", history.afresh, True)
    account.equal("the newest history is short", history.events < HISTORY_EVENTS, True)
    return account
