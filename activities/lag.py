"""How far documents are behind their logs, looked up when Prometheus asks."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cody.clock import now_ms
from cody.contract.events import said_at
from cody.metrics import WORKER
from cody.stream.entry import Entry


class Lag(NamedTuple):
    """Events of one log that its document does not have yet, and the oldest of them that is at hand."""

    events: int = 0
    oldest: Entry | None = None


class Lags(Collector):
    """The projectors of this process; runs come and go, so they are summed up and not labelled."""

    def __init__(self) -> None:
        self._looks: dict[int, Callable[[], Lag]] = {}

    @contextmanager
    def of(self, look: Callable[[], Lag]) -> Generator[None]:
        """Count a projector for as long as the context lasts."""
        self._looks[id(look)] = look
        try:
            yield
        finally:
            del self._looks[id(look)]

    def collect(self) -> Iterator[Metric]:
        """Gauges; safe in any thread, as it works on a copy."""
        lags = [look() for look in list(self._looks.values())]
        events = [lag.events for lag in lags]
        now = now_ms()
        seconds = [max(0, now - said_at(lag.oldest.event)) / 1000 for lag in lags if lag.oldest is not None]
        yield _gauge("cody_projector_lag_events", "Events that no document has yet, of all projectors", sum(events))
        yield _gauge("cody_projector_lag_events_max", "The same, of the one that has most", max(events, default=0))
        yield _gauge("cody_projector_lag_seconds_max", "Age of the oldest of them", max(seconds, default=0.0))
        yield _gauge("cody_projector_lag_seconds", "Sum of the ages of each projector's oldest", sum(seconds))


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value)


LAGS = Lags()
WORKER.register(LAGS)
