"""Real parts for tests: a Redis that can be killed and comes back, run ids, and waiting with a deadline."""

import asyncio
import contextlib
import socket
import subprocess
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from cody.cli.dev.ports import free_port
from cody.cli.dev.redis import server_binary
from cody.contract.base import RunId
from cody.store import Store
from cody.stream.connection import AsyncRedis, connect
from cody.stream.node import connect_node

T = TypeVar("T")

PATIENCE_SECONDS = 90.0
"""Far more than anything here takes on a machine that is not far too busy; only what fails waits as long."""
_POLL_SECONDS = 0.005


def new_run_id() -> RunId:
    """A run of one's own: tests share a Redis and never flush it."""
    return RunId(f"run_{uuid4().hex}")


async def until(look: Callable[[], T | Awaitable[T]], seconds: float = PATIENCE_SECONDS, what: str = "") -> T:
    """Look (a function, or an async one) until what is seen is true, and give it; AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        looked = look()
        seen: T = await looked if isinstance(looked, Awaitable) else looked
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what or look}; seen last: {seen!r}")
        await asyncio.sleep(_POLL_SECONDS)


def eventually(look: Callable[[], T], seconds: float = PATIENCE_SECONDS, what: str = "") -> T:
    """Look until what is seen is true, and give it; AssertionError with what was seen last after `seconds`."""
    until = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > until:
            raise AssertionError(f"not within {seconds} s: {what or look}; seen last: {seen!r}")
        time.sleep(0.02)  # what it looks at is another process, which needs the processor


def make_tables(url: str) -> None:
    """Migrate an empty database; in a thread, as whoever asks for it may be in an event loop."""

    async def migrate() -> None:
        store = Store(url)
        await store.open()
        await store.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, migrate()).result()


class RedisServer:
    """A Redis (or Valkey) on loopback with an append-only file; `options` on top.

    All that it has answered is in its file. With `--appendfsync everysec`, as `cody dev` has it, it may answer for two
    seconds before it writes, while a slow disk syncs.
    """

    def __init__(self, folder: Path, *options: str, data: Path | None = None, within: Sequence[str] = ()) -> None:
        """Its log is in `folder`, as is its file unless that goes to `data`; `within` is a command that becomes it."""
        self.port = free_port()
        self._folder = folder
        self._options = options
        self._data = data or folder
        self._within = within
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is, also after a restart."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def alive(self) -> bool:
        """Whether it was started, and not killed since."""
        return self._process is not None

    def start(self) -> None:
        """Start it and return when it answers."""
        options = (
            *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._data), "--save", ""),
            *("--appendonly", "yes", "--appendfsync", "no", "--daemonize", "no"),
            *self._options,
        )
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen((*self._within, str(server_binary()), *options), stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((self._folder / "log").read_text())
            time.sleep(0.01)

    def kill(self) -> None:
        """SIGKILL, as the kernel does when memory runs out."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def signal(self, number: int) -> None:
        """Send it a signal: SIGSTOP makes it silent, SIGCONT lets it go on."""
        if self._process is not None:
            self._process.send_signal(number)

    @asynccontextmanager
    async def killed(self) -> AsyncGenerator[None]:
        """Kill it for the block, and bring it back without holding up the event loop."""
        self.kill()
        try:
            yield
        finally:
            await asyncio.to_thread(self.start)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as door:
            door.sendall(b"PING\r\n")
            return door.recv(16).startswith(b"+PONG")
        return False


@contextmanager
def running_redis(folder: Path) -> Generator[RedisServer]:
    """A server in `folder`, gone at the end."""
    server = RedisServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@asynccontextmanager
async def connected(url: str, *, blocking: bool = False) -> AsyncGenerator[AsyncRedis]:
    """Our client of it, for one event loop."""
    redis = connect_node(url, blocking=True, connections=1) if blocking else connect(url)
    try:
        yield redis
    finally:
        await redis.aclose()
