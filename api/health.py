"""Whether the service lives, whether its parts do, and its figures."""

import asyncio
from collections.abc import Awaitable

from litestar import Response, get
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from api.problems import ProblemError, TemporalGone, documented, unavailable
from api.state import Door
from cody.contract.base import Model
from cody.contract.lifecycle import STATUSES
from cody.store import DatabaseGone
from cody.stream.connection import RedisError

_PATIENCE_SECONDS = 2.0
FIGURES = CONTENT_TYPE_LATEST.removesuffix("; charset=utf-8")  # which Litestar adds to any text


class Health(Model):
    """All is well."""

    status: str = "ok"


@get("/health/live", summary="Whether the process lives")
async def live() -> Health:
    """200 as long as it answers at all."""
    return Health()


@get("/health/ready", responses=documented(503), summary="Whether the parts are up")
async def ready(door: Door) -> Health:
    """200, or 503 naming the part that is down."""
    found = await asyncio.gather(
        _check("temporal", door.desk.gateway.ping()),
        _check("redis", _redis(door)),
        _check("database", door.store.database.ping()),
    )
    if down := [error for error in found if error is not None]:
        raise down[0]
    return Health()


async def _redis(door: Door) -> None:
    await door.hub.log.ping()


async def _check(part: str, asked: Awaitable[None]) -> ProblemError | None:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await asked
    except (TemporalGone, RedisError, TimeoutError, *DatabaseGone) as error:
        return unavailable(part, error)
    return None


@get("/metrics", media_type=FIGURES, responses=documented(503), summary="Figures for Prometheus")
async def metrics(door: Door) -> Response[bytes]:
    """The state of this process and of the record."""
    registry = CollectorRegistry()
    runs = Gauge("cody_runs", "Runs by status", ["status"], registry=registry)
    counted = await door.store.runs.count_by_status()
    for status in STATUSES:
        runs.labels(status).set(counted.get(status, 0))
    watched = door.hub.watched
    Gauge("cody_hub_runs", "Runs that somebody watches here", registry=registry).set(len(watched))
    Gauge("cody_hub_clients", "Streams that are open here", registry=registry).set(sum(watched.values()))
    return Response(generate_latest(registry), media_type=FIGURES)
