"""Very many events of one run: in one turn, and over many turns."""

import json
import sys
from dataclasses import dataclass

from tests.scale.account import Account
from tests.scale.books import last_seq
from tests.scale.meter import Meter
from tests.scale.reading import check_again, follow
from tests.service import Service

_LINE = {"__cody_event__": {"type": "warning", "code": "flood", "message": "x" * 100}}
_BLOCK = 1000
_AGENT = f"""
import sys
block = ({json.dumps(json.dumps(_LINE))} + "\\n") * {_BLOCK}
for _ in range(int(sys.argv[1])):
    sys.stdout.write(block)
"""
MEMORY_MB = {"worker": 300.0, "api": 100.0, "redis": 200.0, "temporal": 150.0}
"""What the parts may grow by, however many events there are. A worker holds 64 MiB of events that are not archived yet,
8 that are not sent, and a ring of 4, each event with about as much again of its own; Redis keeps 16 MiB of what is
archived, and what is not archived yet."""
_SECONDS = 3600.0


@dataclass(frozen=True)
class Events:
    """So many events in each of so many turns."""

    turns: int
    each: int

    @property
    def total(self) -> int:
        return self.turns * self.each


ONE_TURN, MANY_TURNS = Events(1, 1_000_000), Events(100, 10_000)
SMALL_ONE, SMALL_MANY = Events(1, 50_000), Events(5, 4_000)


def take(service: Service, size: Events) -> Account:
    """A run whose agent floods, a client that follows it, and one that reads all of it afterwards."""
    account = Account()
    command = [sys.executable, "-c", _AGENT, str(size.each // _BLOCK)]
    run = service.start(command, max_turns=size.turns, turn_timeout_seconds=_SECONDS)
    with service.redis() as redis, Meter(service, lambda: last_seq(redis, run)) as meter:
        followed = follow(run, _SECONDS)
    meter.report(account)
    account.cost("event", *meter.tenths())
    account.memory(meter.grown_mb, MEMORY_MB)
    whole = check_again(run, followed, account, MEMORY_MB["api"])
    account.equal("telemetry", whole.types["warning"], size.total)
    account.equal("turns", whole.types["turn_completed"], size.turns)
    return account
