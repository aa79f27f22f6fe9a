"""What every figure is measured on."""

from dataclasses import dataclass

from tests.service import Service


@dataclass(frozen=True)
class Stage:
    """A real `cody dev`, and how many rounds to take."""

    service: Service
    rounds: int
