"""What the parts of a service use while a case goes on: CPU time and resident memory, looked at twice a second."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.scale.account import Account
from tests.service import Service

PARTS = ("worker", "api", "redis", "temporal")
_LOOK_SECONDS = 0.5
_MB = 1e6


@dataclass(frozen=True)
class _Look:
    done: int
    """How much of the work was done."""
    cpu: dict[str, float]
    """Seconds, of the part with all children that it has outlived: a worker's turns."""
    rss: dict[str, int]


class Meter:
    """Watches the parts of `service` for the time of a `with`; `done` tells how much of the work is done."""

    def __init__(self, service: Service, done: Callable[[], int] = lambda: 0) -> None:
        self._processes = {name: service.part(name) for name in PARTS}
        self._done = done
        self._looks: list[_Look] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._began = time.monotonic()
        self.seconds = 0.0
        self._fault: BaseException | None = None

    def __enter__(self) -> Self:
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self.seconds = time.monotonic() - self._began
        if error is None:
            if self._fault is not None:
                raise AssertionError("a part has gone") from self._fault
            self._look()

    def _watch(self) -> None:
        try:
            while not self._over.wait(_LOOK_SECONDS):
                self._look()
        except BaseException as error:  # noqa: BLE001 - the thread's edge: raised where the `with` ends
            self._fault = error

    def _look(self) -> None:
        cpu, rss = dict[str, float](), dict[str, int]()
        done = self._done()
        for name, process in self._processes.items():
            times = process.cpu_times()
            cpu[name] = times.user + times.system + times.children_user + times.children_system
            rss[name] = process.memory_info().rss
        self._looks.append(_Look(done, cpu, rss))

    def report(self, account: Account) -> None:
        """Tell the time and each part's memory in MB: at the start, at its peak, at the end."""
        begun, ended = self._looks[0].rss, self._looks[-1].rss
        memory = {name: [round(rss[name] / _MB) for rss in (begun, self._peak, ended)] for name in PARTS}
        cpu = {name: round(self._looks[-1].cpu[name] - self._looks[0].cpu[name], 1) for name in PARTS}
        account.tell(seconds=round(self.seconds, 1), cpu_seconds=cpu, memory_mb_start_peak_end=memory)
        if half := self._half:
            account.tell(memory_mb_half={name: round(rss / _MB) for name, rss in half.rss.items()})

    @property
    def grown_mb(self) -> dict[str, float]:
        """How far each part rose above its start."""
        return {name: (self._peak[name] - self._looks[0].rss[name]) / _MB for name in PARTS}

    def tenths(self) -> tuple[dict[str, float], dict[str, float]]:
        """CPU per piece of work, in µs by part: in the first tenth of the work, and in the last."""
        whole = self._looks[-1].done
        begun = next(look for look in self._looks if look.done > 0)
        first = next(look for look in self._looks if look.done > max(whole * 0.1, begun.done))
        before_last = next(look for look in reversed(self._looks) if look.done <= whole * 0.9)
        last = next(look for look in self._looks if look.done == whole)
        return _between(begun, first), _between(before_last, last)

    @property
    def second_half_mb(self) -> dict[str, float]:
        """How far each part's memory moved from the middle of the work to its end."""
        half = self._half or self._looks[-1]
        return {name: (self._looks[-1].rss[name] - half.rss[name]) / _MB for name in PARTS}

    @property
    def _half(self) -> _Look | None:
        """When half of the work was done; None where nobody counts it."""
        whole = self._looks[-1].done
        return next((look for look in self._looks if look.done >= whole / 2), None) if whole else None

    @property
    def _peak(self) -> dict[str, int]:
        return {name: max(look.rss[name] for look in self._looks) for name in PARTS}


def _between(one: _Look, other: _Look) -> dict[str, float]:
    done = max(1, other.done - one.done)
    return {name: (other.cpu[name] - one.cpu[name]) * 1e6 / done for name in PARTS}
