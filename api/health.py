"""Whether the service lives, and whether its parts do."""

from litestar import get

from api.problems import documented, not_ready
from api.state import Door
from cody.contract.base import Model
from cody.contract.errors import HealthProblem


class Health(Model):
    """All is well."""

    status: str = "ok"


@get("/health/live", summary="Whether the process lives")
async def live() -> Health:
    """200 as long as it answers at all."""
    return Health()


@get("/health/ready", responses=documented(503, away=HealthProblem), summary="Whether the parts work")
async def ready(door: Door) -> Health:
    """200 if Temporal answers, and Redis and the database take a write; else 503 naming each part that does not."""
    faults = {part: fault for part, fault in (await door.readiness.look()).items() if fault is not None}
    if faults:
        raise not_ready(faults)
    return Health()
