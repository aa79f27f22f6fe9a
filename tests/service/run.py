"""A hand on a run: what it is now, what it said, and telling it what to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.parts import PATIENCE_SECONDS, eventually
from tests.service.frames import Stream

if TYPE_CHECKING:
    from tests.service.service import Service

ENDED = frozenset({"completed", "failed", "cancelled"})


@dataclass
class Run:
    """A run that was started: the answer to its start, and a hand on it."""

    service: "Service"
    accepted: dict[str, Any]
    dir: Path
    """Its working directory."""

    @property
    def id(self) -> str:
        return self.accepted["run_id"]

    @property
    def path(self) -> str:
        """`/api/runs/{id}`."""
        return f"/api/runs/{self.id}"

    def snapshot(self) -> dict[str, Any]:
        """The run as it is now."""
        return self.service.http.get(self.path).raise_for_status().json()

    def wait(self, *statuses: str, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """The snapshot once the run is in one of these statuses; fails at once if it ended in another."""

        def look() -> dict[str, Any] | None:
            snapshot = self.snapshot()
            if snapshot["status"] not in statuses:
                assert snapshot["status"] not in ENDED, snapshot
                return None
            return snapshot

        return eventually(look, seconds, f"{self.id} {' or '.join(statuses)}")

    def control(self, action: str, **options: Any) -> httpx.Response:
        """The answer to POST /control."""
        return self.service.http.post(f"{self.path}/control", json={"action": action, **options})

    def cancel(self) -> dict[str, Any]:
        """Cancel, and wait for it."""
        self.control("cancel").raise_for_status()
        return self.wait("cancelled")

    def stream(self, *, headers: Mapping[str, str] | None = None, **query: str) -> Stream:
        """Open the run's stream; `from_` is `?from=`. Close it, or use it in a `with`."""
        params = {name.rstrip("_"): value for name, value in query.items()}
        return self.service.open(str(httpx.URL(f"{self.path}/stream", params=params)), headers)

    def events(self) -> list[dict[str, Any]]:
        """All events from the beginning to the terminal one, which is waited for."""
        with self.stream() as stream:
            return [frame.json for frame in stream if frame.event]

    def event(self, type_: str, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """The first event of this type, as soon as it is there."""
        with self.stream() as stream:
            return stream.until(lambda frame: frame.event == type_, seconds).json

    def responses(self) -> list[dict[str, Any]]:
        """The run's documents."""
        return self.service.http.get(f"{self.path}/responses").raise_for_status().json()["responses"]
