"""`GET /metrics`: what this process has counted, and the state of the record."""

import asyncio
import logging

from litestar import Response, get
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from api.archive_size import ArchiveSize
from api.state import Door
from cody.contract.lifecycle import STATUSES
from cody.metrics import API
from cody.store import DatabaseGone, RunStore
from cody.stream.hub_figures import HubFigures

FIGURES = CONTENT_TYPE_LATEST.removesuffix("; charset=utf-8")  # which Litestar adds to any text
_PATIENCE_SECONDS = 2.0
_log = logging.getLogger(__name__)


@get("/metrics", media_type=FIGURES, summary="Figures for Prometheus")
async def metrics(door: Door) -> Response[bytes]:
    """Always 200: what a part that is down does not tell is left out, and `cody_part_up` says so."""
    registry = CollectorRegistry()
    registry.register(HubFigures(door.hub))
    up = Gauge("cody_part_up", "Whether the part works, as /health/ready sees it", ["part"], registry=registry)
    found = await door.readiness.look()
    for part, fault in found.items():
        up.labels(part).set(fault is None)
    if found["database"] is None:
        await _record(registry, door.store.runs, door.archive_size)
    return Response(generate_latest(API) + generate_latest(registry), media_type=FIGURES)


async def _record(registry: CollectorRegistry, runs: RunStore, archive: ArchiveSize) -> None:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            counted, size = await runs.count_by_status(), await archive.bytes()
    except (TimeoutError, *DatabaseGone) as error:
        _log.warning("/metrics is without the record", exc_info=error)
        return
    by_status = Gauge("cody_runs", "Runs by status", ["status"], registry=registry)
    for status in STATUSES:
        by_status.labels(status).set(counted.get(status, 0))
    Gauge("cody_archive_bytes", "Bytes that the archive takes, compressed", registry=registry).set(size)
