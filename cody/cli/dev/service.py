"""The API and the workers as processes, and when the whole service is ready."""

import ssl
import sys
from collections.abc import Mapping

import httpx

from cody.cli.dev.part import Part
from cody.cli.dev.plan import Plan

API = "api"
_NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""It is http that is spoken here. A context of httpx's own reads the world's certificates, 40 ms for every look."""


def api_part(plan: Plan) -> Part:
    """`cody api`."""
    return _part(plan, API, "api")


def worker_parts(plan: Plan) -> list[Part]:
    """As many `cody worker` as were asked for."""
    ports = plan.metrics_ports
    return [
        _part(plan, name, "worker", {"CODY_METRICS_PORT": str(ports[name])} if name in ports else {})
        for name in worker_names(plan.workers)
    ]


def worker_names(workers: int) -> list[str]:
    """What they are called."""
    return ["worker"] if workers == 1 else [f"worker-{number}" for number in range(1, workers + 1)]


def _part(plan: Plan, name: str, subcommand: str, own: Mapping[str, str] | None = None) -> Part:
    """`own` is what this part's environment has on top."""
    command = (sys.executable, "-m", "cody.cli", subcommand)
    return Part(name, command, {**plan.env(), **(own or {})}, plan.log(name))


class ServiceProbe:
    """Ready when `/health/ready` says 200, which it does when the API reaches Temporal, Redis and the database."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/health/ready"

    async def __call__(self) -> str | None:
        """None when it is ready, else what the API said is missing."""
        async with httpx.AsyncClient(timeout=5.0, trust_env=False, verify=_NO_CERTIFICATES) as http:
            try:
                answer = await http.get(self._url)
            except httpx.TransportError as error:
                return f"no answer at {self._url}: {error or type(error).__name__}"
        return None if answer.is_success else f"{self._url} says {answer.status_code}: {answer.text[:500]}"
