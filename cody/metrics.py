"""The figures that Cody counts as it goes, for Prometheus; `docs/metrics.md` says what each is good for.

A program has a registry, and shows only that. What can be looked up when somebody asks (the hub, the projectors' lag)
is not counted here but collected where it is known. On the way of events a figure is kept per batch, never per event.
"""

import asyncio
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics

disable_created_metrics()  # a third of all series, which nobody looks at

WORKER, API = CollectorRegistry(), CollectorRegistry()
ProcessCollector(registry=WORKER)
ProcessCollector(registry=API)

_QUICK = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
"""Upper bounds in seconds for what should take a millisecond, and may wait for a part that is away."""

# The log.
_APPEND_SECONDS = Histogram(
    "cody_append_seconds", "From sending a batch to Redis to its answer", buckets=_QUICK, registry=WORKER
)
_BATCH_EVENTS = Histogram(
    "cody_append_batch_events", "Events of a batch that was accepted", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
    registry=WORKER,
)  # fmt: skip
_APPENDS = Counter("cody_appends", "Batches by what the log answered", ["outcome"], registry=WORKER)
_by_outcome: dict[str, Counter] = {}
_APPENDED_EVENTS = Counter("cody_appended_events", "Events that are new in the log", registry=WORKER)
_APPENDED_BYTES = Counter("cody_appended_bytes", "JSON of the batches that were accepted", registry=WORKER)
APPEND_RETRIES = Counter("cody_append_retries", "Batches sent again, as Redis was away", registry=WORKER)


def expect_outcomes(outcomes: Sequence[str]) -> None:
    """Show these from the start, at 0: an alert on the first of its kind needs a figure before it."""
    for outcome in outcomes:
        _by_outcome[outcome] = _APPENDS.labels(outcome)


def appended(seconds: float, outcome: str, batch: Sequence[tuple[str, bytes]], new: int) -> None:
    """The log has answered to a batch of (type, JSON), `new` of which it did not have."""
    _APPEND_SECONDS.observe(seconds)
    _by_outcome[outcome].inc()
    if outcome == "ok":
        _BATCH_EVENTS.observe(len(batch))
        _APPENDED_EVENTS.inc(new)
        _APPENDED_BYTES.inc(sum([len(event) for _, event in batch]))


HEALS = Counter("cody_log_heals", "Logs that Redis had lost some of, by `whole` or `gap`", ["outcome"], registry=WORKER)
HEALS.labels("whole")
HEALS.labels("gap")
HELD_BYTES = Gauge("cody_held_bytes", "Events kept in memory until the archive has them", registry=WORKER)
HELD_DROPPED = Counter("cody_held_dropped_events", "Events let go of although not archived yet", registry=WORKER)

# The hub, which both programs have.
RING_MISSES = Counter(
    "cody_hub_ring_misses", "Reads that a follower did for itself, as the ring did not reach", registry=None
)
WORKER.register(RING_MISSES)
API.register(RING_MISSES)

# The event loop, which both programs have.
_TASKS = Gauge("cody_tasks", "Tasks of the event loop that have not ended", registry=None)
WORKER.register(_TASKS)
API.register(_TASKS)


def count_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Show how many tasks of this loop there are, whenever somebody asks, from whatever thread."""
    _TASKS.set_function(lambda: len(asyncio.all_tasks(loop)))


# Activities and what they start.
ACTIVITIES_RUNNING = Gauge(
    "cody_activities_running", "Turns, projectors and other activities", ["activity"], registry=WORKER
)
ACTIVITIES = Counter("cody_activities", "Activities that ended, by how", ["activity", "outcome"], registry=WORKER)
AGENTS = Gauge("cody_agents_running", "Agents' processes that something is left of", registry=WORKER)
SAVED = Histogram("cody_save_seconds", "Saving a turn's document", buckets=_QUICK, registry=WORKER)

# The archive.
ARCHIVE_WAITING = Gauge("cody_archive_waiting_runs", "Logs that the last round found due", registry=WORKER)
ARCHIVE_ROUND = Gauge("cody_archive_round_timestamp_seconds", "When the last round succeeded", registry=WORKER)
ARCHIVE_FAILURES = Counter("cody_archive_failures", "Rounds that failed", registry=WORKER)
ARCHIVED_CHUNKS = Counter("cody_archived_chunks", "Chunks written", registry=WORKER)
ARCHIVED_BYTES = Counter("cody_archived_bytes", "Compressed bytes written", registry=WORKER)

# The door.
REQUESTS = Counter("cody_requests", "Requests that were answered", ["method", "route", "status"], registry=API)
REQUEST_SECONDS = Histogram(
    "cody_request_seconds", "From a request to the head of its answer", ["method", "route"], registry=API
)
STREAM_RESETS = Counter("cody_stream_resets", "Streams that began with `stream_reset`", registry=API)
STREAMS_WAITED = Counter("cody_streams_waited", "Streams that began while Redis was away", registry=API)
STREAMS_OPENED = Counter("cody_streams_opened", "Streams that began to follow a log", registry=API)
STREAMS_CLOSED = Counter("cody_streams_closed", "Of these, those that ended", registry=API)
