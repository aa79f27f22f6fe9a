"""Serve the API: open what is behind the door, run uvicorn, and close streams when asked to end."""

import asyncio
import contextlib
import resource
import socket
from types import FrameType

import uvicorn

from api.app import create_app
from api.archive_size import ArchiveSize
from api.deadlines import Deadlines
from api.desk import Desk
from api.gateway import Gateway
from api.housekeeping import keep_house
from api.links import Linker
from api.measured import Measured
from api.outages import Outages
from api.readiness import Readiness
from api.state import Door
from cody.archive.whole import WholeLog
from cody.metrics import count_tasks
from cody.settings import Settings
from cody.store import Store
from cody.stream.connection import connect
from cody.stream.hubs import hub_for
from cody.stream.rings import Rings

_BACKLOG = 65_535
"""Of connections that nobody took up yet: the kernel lowers it to what it allows."""
_TICK_SECONDS = 1.0


class Server(uvicorn.Server):
    """uvicorn waits for open connections when it ends; so the hub lets its followers go first."""

    def __init__(self, config: uvicorn.Config, hub: Rings) -> None:
        super().__init__(config)
        self._hub = hub
        self._loop = asyncio.get_running_loop()
        self._exit = asyncio.Event()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The signal that ends the process; it may come between any two steps of what our tasks do."""
        super().handle_exit(sig, frame)
        self._loop.call_soon_threadsafe(self._close_streams)

    def _close_streams(self) -> None:
        self._hub.close()
        self._exit.set()

    async def main_loop(self) -> None:
        """Uvicorn's own looks ten times a second whether it is to end, which is most of an idle process's work."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_SECONDS):
                    await self._exit.wait()


async def serve(settings: Settings, store: Store) -> None:
    """Serve until SIGTERM or SIGINT; `store` is open and is closed by the caller."""
    _raise_file_limit()
    count_tasks(asyncio.get_running_loop())
    redis = connect(settings.redis_url)
    log = WholeLog(redis, store.archive)
    hub = hub_for(log, settings.redis_url, settings.cody_hub_bytes)
    gateway = await Gateway.connect(settings.temporal_address, settings.temporal_namespace)
    desk = Desk(store, gateway)
    door = Door(
        desk=desk,
        store=store,
        log=log,
        hub=hub,
        linker=Linker(settings.temporal_namespace, settings.temporal_ui_url),
        archive_size=ArchiveSize(store.archive),
        readiness=Readiness({"temporal": gateway.ping, "redis": log.touch, "database": store.pulse.beat}),
        outages=Outages(),
        roots=settings.cody_workspace_roots,
        silence=Deadlines(settings.cody_sse_keepalive_seconds),
        lifetime=Deadlines(settings.cody_sse_max_seconds),
    )
    config = uvicorn.Config(
        Measured(create_app(door, settings.cody_max_body_bytes)),
        interface="asgi3",
        host=settings.cody_host,
        port=settings.cody_port,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=5,
        lifespan="on",
    )
    server = Server(config, hub)
    try:
        async with asyncio.TaskGroup() as tasks:
            background = [tasks.create_task(hub.run()), tasks.create_task(keep_house(desk))]
            await server.serve(sockets=[_listen(settings.cody_host, settings.cody_port)])
            for task in background:
                task.cancel()
    finally:
        await hub.aclose()
        await redis.aclose()


def _raise_file_limit() -> None:
    """A stream is a file descriptor, and the soft limit is often 1,024 for the sake of programs that use `select`."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _listen(host: str, port: int) -> socket.socket:
    """The listening socket; a client that vanished without a word is noticed within a minute."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000)
    listener.bind((host, port))
    listener.listen(_BACKLOG)
    return listener
