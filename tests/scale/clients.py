"""Very many clients of one API process: most of them wait, the others get every event of runs that talk fast."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.scale.account import Account
from tests.scale.crowd import crowd
from tests.scale.meter import Meter
from tests.service import Run, Service

_IDLE_RUNS, _ACTIVE_RUNS = 5, 10
KB_OF_A_CLIENT = 100.0
MEMORY_MB = {"api": 400.0, "worker": 200.0, "redis": 100.0, "temporal": 100.0}
NEW_CLIENT_SECONDS = 2.0
_SECONDS = 1800.0
_AGENT = """
import pathlib, sys, time
while not pathlib.Path("go").exists():
    time.sleep(0.05)
line = '{"__cody_event__": {"type": "warning", "code": "flood", "message": "' + "x" * 100 + '"}}\\n'
for _ in range(int(sys.argv[1]) // 100):
    sys.stdout.write(line * 100)
    sys.stdout.flush()
    time.sleep(0.1)
"""


@dataclass(frozen=True)
class Clients:
    idle: int
    active: int
    events: int
    """That each active run says, up to 1,000 a second; there are ten of them."""


FULL, SMALL = Clients(5000, 1000, 5000), Clients(250, 50, 1000)


def take(service: Service, size: Clients) -> Account:
    """Let the idle ones come, then the active ones; and others, one at a time, while those are served."""
    account = Account()
    idle = [_waiting(service, 0) for _ in range(_IDLE_RUNS)]
    active = [_waiting(service, size.events) for _ in range(_ACTIVE_RUNS)]
    with Meter(service) as meter, ThreadPoolExecutor(1) as pool:
        with (
            crowd(service.api_port, _targets(idle), size.idle, seconds=_SECONDS) as waiting,
            crowd(service.api_port, _targets(active), size.active, seconds=_SECONDS) as listening,
        ):
            came = meter.grown_mb["api"]
            for run in active:
                (run.dir / "go").touch()
            newcomers = pool.submit(_newcomers, idle[0], active)
            followed = listening.wait(_SECONDS)
            delays = newcomers.result()
            account.equal("idle clients that are still there", [each for each in waiting.look() if each.ended], [])
            for run in idle:
                (run.dir / "go").touch()
            waited = waiting.wait(_SECONDS)
        for run in [*idle, *active]:
            run.wait("completed")
    meter.report(account)
    account.tell(idle=size.idle, active=size.active, deliveries=sum(seen.entries for seen in followed))
    account.tell(kb_of_an_open_client=round(came * 1000 / (size.idle + size.active), 1))
    account.tell(newcomers=len(delays), slowest_newcomer_seconds=round(max(delays), 2))
    account.tell(connections=sum(seen.connections for seen in [*followed, *waited]))
    account.hold("a stream", next((seen.fault for seen in [*followed, *waited] if seen.fault), None))
    for crowd_, runs in ((followed, active), (waited, idle)):
        ends = [int(run.snapshot()["cursor"].split("-")[0]) + 1 for run in runs]
        wanted = [ends[number % len(runs)] for number in range(len(crowd_))]
        account.equal("entries that the clients saw", [seen.entries for seen in crowd_], wanted)
    account.memory(meter.grown_mb, MEMORY_MB)
    account.bound("memory of an open client", came * 1000 / (size.idle + size.active), KB_OF_A_CLIENT, "KB")
    account.bound("the slowest newcomer took", max(delays), NEW_CLIENT_SECONDS, "s")
    return account


def _waiting(service: Service, events: int) -> Run:
    """A run whose agent waits for its file `go`."""
    run = service.start([sys.executable, "-c", _AGENT, str(events)], watch={"exclude": ["go"]})
    run.event("turn_started")
    return run


def _targets(runs: list[Run]) -> list[str]:
    return [f"{run.path}/stream" for run in runs]


def _newcomers(quiet: Run, busy: list[Run]) -> list[float]:
    """Seconds that a client who comes now waits for its first frame, asked again and again until the busy runs end."""
    delays: list[float] = []
    while not delays or any(run.snapshot()["status"] == "running" for run in busy):
        began = time.monotonic()
        with quiet.stream() as stream:
            stream.until(lambda frame: frame.event is not None, seconds=_SECONDS)
        delays.append(time.monotonic() - began)
        time.sleep(0.2)
    return delays
