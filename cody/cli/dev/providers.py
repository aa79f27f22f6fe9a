"""Fake providers (`--fake-providers`): a local server that looks like the APIs of OpenAI and Anthropic.

It is `fixtures.providers`, which is part of a checkout, as the demo is.
"""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

from cody.cli.dev.part import Part
from cody.cli.dev.plan import Plan
from cody.cli.dev.ports import LOOPBACK

NAME = "providers"
CHECKOUT = Path(__file__).resolve().parents[3]
_PROBE_SECONDS = 2.0


class NoProvidersError(Exception):
    """The fake providers are not there; the message says what they need."""


def providers_part(plan: Plan, port: int, checkout: Path = CHECKOUT) -> Part:
    """The server on this port. Raises NoProvidersError outside of a checkout."""
    if not (checkout / "fixtures" / "providers" / "__main__.py").is_file():
        raise NoProvidersError(f"--fake-providers needs a checkout of Cody; {checkout / 'fixtures'} has no providers")
    command = (sys.executable, "-m", "fixtures.providers", "--port", str(port))
    return Part(NAME, command, _env(plan.user, checkout), plan.log(NAME))


def _env(user: Mapping[str, str], checkout: Path) -> dict[str, str]:
    path = ":".join((str(checkout), *filter(None, (user.get("PYTHONPATH"),))))
    return {**user, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


class ProvidersProbe:
    """Ready when somebody listens on its port."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __call__(self) -> str | None:
        """None when it is ready, else what is missing."""
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                _, writer = await asyncio.open_connection(LOOPBACK, self._port)
        except (OSError, TimeoutError) as error:
            return f"no connection to port {self._port}: {error}"
        writer.close()
        return None
