"""Every case: what it is, and its two sizes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.scale import clients, events, large, runs, turns
from tests.scale.account import Account
from tests.service import Service

ENV = {"CODY_MAX_TURNS": "16"}
"""Of the service that they are taken on."""


@dataclass(frozen=True)
class Case:
    """`run(service, size)` does it."""

    about: str
    run: Callable[[Service, Any], Account]
    full: Any
    small: Any

    def take(self, service: Service, *, small: bool = False) -> Account:
        """Do it, in full unless told."""
        return self.run(service, self.small if small else self.full)


CASES = {
    "turns": Case("10,000 turns of one run", turns.take, turns.FULL, turns.SMALL),
    "events": Case("1,000,000 events of one turn", events.take, events.ONE_TURN, events.SMALL_ONE),
    "events_over_turns": Case("1,000,000 events over 100 turns", events.take, events.MANY_TURNS, events.SMALL_MANY),
    "response": Case("a response of 20 MB", large.take, large.RESPONSE, large.SMALL_RESPONSE),
    "item": Case("an item of 5 MB", large.take, large.ITEM, large.SMALL_ITEM),
    "runs": Case("1,000 runs at once", runs.take, runs.FULL, runs.SMALL),
    "clients": Case("5,000 idle and 1,000 active clients", clients.take, clients.FULL, clients.SMALL),
}
