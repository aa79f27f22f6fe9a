"""Headers that a provider's SDK takes from the service's environment, and that are not for a run's own connection."""

import os
from collections.abc import Mapping
from typing import Final, TypeVar

from cody.agents.connections import Connection

ORGANIZATION: Final = ("OpenAI-Organization", "OpenAI-Project")

T = TypeVar("T")


def withheld(connection: Connection, variable: str, omit: T, *names: str) -> Mapping[str, T]:
    """Default headers for an SDK's client that leave out, by `omit`, what the service is known by at its own provider.

    These are `names` and those in the service's `variable`, a header a line. Empty for the service's own connection.
    """
    if not connection.of_run:
        return {}
    lines = os.environ.get(variable, "").split("\n")
    told = [name.strip() for name, colon, _ in (line.partition(":") for line in lines) if colon]
    return dict.fromkeys([*names, *told], omit)
