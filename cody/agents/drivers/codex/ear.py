"""Who is told of a turn of Codex."""

from typing import Protocol

from cody.contract.payloads import Payload


class Told(Protocol):
    """A driver's way out, as far as events are concerned."""

    def emit(self, type_: str, payload: Payload) -> None:
        """An event."""
        ...

    def keep(self, text: str) -> None:
        """Text for the kept output."""
        ...
