"""What API and workers hold when nothing goes on: it may not grow with the faults that they have seen."""

from collections.abc import Mapping
from typing import Final

import httpx
import psutil

from tests.chaos.ground import PATIENCE_SECONDS, WORKERS, Ground
from tests.e2e.runs.checks import TERMINAL
from tests.figures import Figures, scrape, targets
from tests.service import eventually

_REDIS_POOL, _SQL_POOL = 51, 10
"""Connections that a process may keep in hand: as many as it once needed at the same time."""
_ROOM = 8
"""Of anything else: a connection that is just being made, a file that is just being read."""
_NOTHING: Final = ("cody_hub_runs", "cody_hub_clients", "cody_activities_running", "cody_agents_running")
"""Figures that are 0 at rest, in whatever process has them."""


class Levels:
    """What is held at rest: tasks by kind of part, before anything fails; files by process, as each is first seen.

    A part that is still starting has few tasks; one worker at least has started, as it has done a run.
    """

    def __init__(self, ground: Ground) -> None:
        run = ground.service.start("true", max_turns=1)
        with run.stream() as stream:
            stream.until(lambda frame: frame.event in TERMINAL)
        self._files: dict[psutil.Process, int] = {}
        self._tasks: dict[str, float] = {}
        for part, address in _parts(ground).items():
            tasks = _at_rest(part, address).value("cody_tasks")
            self._tasks[_kind(part)] = max(tasks, self._tasks.get(_kind(part), 0))

    def check(self, ground: Ground) -> str:
        """At rest, nobody does anything, or holds more than at first, but for pools; gives the figures."""
        tasks = {part: _at_rest(part, address, self._tasks[_kind(part)]) for part, address in _parts(ground).items()}
        with ground.service.redis() as redis:
            connections = len(redis.client_list())
        assert connections <= (WORKERS + 1) * _REDIS_POOL + 1, f"{connections} connections to Redis"
        files = {process: process.num_fds() for process in ground.processes()}
        for process, count in files.items():
            first = self._files.setdefault(process, count)
            assert count <= first + _REDIS_POOL + _SQL_POOL + _ROOM, (
                f"{process} had {first} open files, and has {count}"
            )
        told = [f"{part}: {figures.value('cody_tasks'):.0f}" for part, figures in tasks.items()]
        return f"tasks of {', '.join(told)}; {connections} connections to Redis; {sum(files.values())} open files"


def _parts(ground: Ground) -> Mapping[str, str]:
    """The part's name → where its figures are."""
    return targets(ground.disk.path / "data")


def _kind(part: str) -> str:
    """`worker` of `worker-2`."""
    return part.partition("-")[0]


def _at_rest(part: str, address: str, most_tasks: float = float("inf")) -> Figures:
    """The part's figures once nothing is under way there, and no more tasks than these."""
    now: dict[str, float] = {}  # for who wants to know why it does not rest

    def rests() -> Figures | None:
        try:
            figures = scrape(address)
        except httpx.TransportError:
            return None
        streams = figures.value("cody_streams_opened_total") - figures.value("cody_streams_closed_total")
        under_way = {**{name: figures.value(name) for name in _NOTHING}, "streams": streams}
        tasks = figures.value("cody_tasks")
        now.update(under_way, tasks=tasks)
        return figures if not any(under_way.values()) and tasks <= most_tasks else None

    try:
        return eventually(rests, PATIENCE_SECONDS)
    except AssertionError as error:
        raise AssertionError(f"{part} does not come to rest, with at most {most_tasks:.0f} tasks: {now}") from error
