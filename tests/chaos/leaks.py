"""What API and workers hold when nothing goes on: it may not grow with the faults that they have seen."""

import psutil

from tests.chaos.ground import PATIENCE_SECONDS, WORKERS, Ground
from tests.service import eventually

_REDIS_POOL, _SQL_POOL = 51, 10
"""Connections that a process may keep in hand: as many as it once needed at the same time."""
_ROOM = 8
"""Of anything else: a connection that is just being made, a file that is just being read."""


class Levels:
    """What each process held when it was first seen at rest, over all rounds on one ground."""

    def __init__(self) -> None:
        self._first: dict[psutil.Process, int] = {}

    def check(self, ground: Ground) -> str:
        """At rest, nobody holds more than at first, but for pools; gives the figures."""
        api = ground.service.part("api")
        at_door = ground.service.api_port
        eventually(lambda: len(_sockets(api, at_door)) <= _ROOM, PATIENCE_SECONDS, "clients' connections are closed")
        with ground.service.redis() as redis:
            names = [client["addr"] for client in redis.client_list()]
        most = (WORKERS + 1) * _REDIS_POOL + 1
        assert len(names) <= most, f"{len(names)} connections to Redis"
        found = {process: process.num_fds() for process in ground.processes()}
        for process, fds in found.items():
            first = self._first.setdefault(process, fds)
            limit = first + _REDIS_POOL + _SQL_POOL + _ROOM
            assert fds <= limit, f"{process} had {first} open files at first, and has {fds}"
        figures = ", ".join(f"{process.pid}: {fds}" for process, fds in found.items())
        return f"{len(names)} connections to Redis; open files of {figures}"


def _sockets(process: psutil.Process, port: int) -> list[object]:
    connections = process.net_connections(kind="tcp")
    return [one for one in connections if one.laddr.port == port and one.status == psutil.CONN_ESTABLISHED]
