"""The API and the workers as processes, and when the whole service is ready."""

import sys

import httpx

from cody.cli.dev.part import Part
from cody.cli.dev.plan import Plan

API = "api"


def api_part(plan: Plan) -> Part:
    """`cody api`."""
    return _part(plan, API, "api")


def worker_parts(plan: Plan) -> list[Part]:
    """As many `cody worker` as were asked for."""
    names = ["worker"] if plan.workers == 1 else [f"worker-{number}" for number in range(1, plan.workers + 1)]
    return [_part(plan, name, "worker") for name in names]


def _part(plan: Plan, name: str, subcommand: str) -> Part:
    return Part(name, (sys.executable, "-m", "cody.cli", subcommand), plan.env(), plan.log(name))


class ServiceProbe:
    """Ready when `/health/ready` says 200, which it does when the API reaches Temporal, Redis and the database."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/health/ready"

    async def __call__(self) -> str | None:
        """None when it is ready, else what the API said is missing."""
        async with httpx.AsyncClient(timeout=5.0, trust_env=False) as http:
            try:
                answer = await http.get(self._url)
            except httpx.TransportError as error:
                return f"no answer at {self._url}: {error or type(error).__name__}"
        return None if answer.is_success else f"{self._url} says {answer.status_code}: {answer.text[:500]}"
