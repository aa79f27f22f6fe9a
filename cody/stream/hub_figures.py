"""The hub in figures, looked up when Prometheus asks: followers cost nothing for being counted."""

from collections.abc import Iterator
from heapq import nlargest

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cody.stream.rings import Rings

MOST_WATCHED = 100
"""Runs that are shown by their id. Each new id is a series in Prometheus for as long as it keeps anything, so what one
look may add is bounded; who follows more runs than this sees the crowded ones, and the sum of all."""


class HubFigures(Collector):
    """Watched runs, their followers, and how far the rings reach."""

    def __init__(self, hub: Rings) -> None:
        self._hub = hub

    def collect(self) -> Iterator[Metric]:
        """Gauges and counters; safe in any thread, as it works on a copy."""
        watched = self._hub.watched
        yield GaugeMetricFamily("cody_hub_runs", "Runs that somebody follows here", len(watched))
        yield GaugeMetricFamily("cody_hub_clients", "Followers here", sum(watched.values()))
        by_run = GaugeMetricFamily(
            "cody_hub_run_clients", f"Followers of a run, of the {MOST_WATCHED} with the most", labels=["run_id"]
        )
        for run_id, followers in nlargest(MOST_WATCHED, watched.items(), key=lambda run: (run[1], run[0])):
            by_run.add_metric([run_id], followers)
        yield by_run
        yield GaugeMetricFamily("cody_hub_ring_bytes", "Events that the rings hold", self._hub.ring_bytes)
