"""What is struck: a `cody dev` with two workers, its disk, a Redis behind a wire, and perhaps a PostgreSQL."""

import shutil
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import httpx
import psutil

from tests.chaos.disk import Disk, disk_at
from tests.chaos.past import Past
from tests.chaos.wire import Wire, wire_to
from tests.parts import RedisServer
from tests.postgres import PostgresServer, running_postgres
from tests.service import Service, eventually, running

DatabaseKind = Literal["sqlite", "postgresql"]
WORKERS = 2
PATIENCE_SECONDS = 240.0
"""For all that has to come true some time after the last fault, on a machine that does a lot besides."""
_SETTINGS = {
    "CODY_KILL_GRACE_SECONDS": "1",
    # Logs are archived, and leave Redis, while all this goes on.
    "CODY_LOG_YOUNG_SECONDS": "5",
    "CODY_ARCHIVE_GATHER_SECONDS": "5",
    "CODY_SSE_KEEPALIVE_SECONDS": "3",
}


@dataclass
class Ground:
    """The parts."""

    service: Service
    redis: RedisServer
    wire: Wire
    disk: Disk
    postgres: PostgresServer | None
    past: Past = field(default_factory=Past)

    def processes(self) -> list[psutil.Process]:
        """The API and the workers that live now."""
        return [*self.service.parts("api"), *self.service.parts("worker")]

    def lose_redis_data(self) -> None:
        """Remove the file of a Redis that is down."""
        shutil.rmtree(self.disk.path / "redis" / "appendonlydir", ignore_errors=True)
        self.past.data_is_lost()

    def is_up(self) -> bool:
        """Whether every part lives, and the API says that it is ready."""
        try:
            ready = self.service.http.get("/health/ready").is_success
        except httpx.TransportError:
            return False
        return ready and len(self.processes()) == WORKERS + 1 and bool(self.service.parts("temporal"))


@contextmanager
def ground(root: Path, kind: DatabaseKind, seed: str) -> Generator[Ground]:
    """All of it below `root`; after a failure, what was on its disk lies in `root`/kept."""
    for name in ("disk", "redis", "service"):
        (root / name).mkdir(parents=True)
    with ExitStack() as stack:
        disk = stack.enter_context(disk_at(root / "disk"))
        for name in ("data", "redis"):
            (disk.path / name).mkdir()
        (root / "service" / "data").symlink_to(root / "disk" / "data")
        lazy = ("--appendfsync", "everysec")
        redis = RedisServer(root / "redis", *lazy, data=root / "disk" / "redis", within=disk.within(root))
        redis.start()
        stack.callback(redis.kill)
        wire = stack.enter_context(wire_to(redis.port, seed))
        env = {**_SETTINGS, "REDIS_URL": wire.url}
        postgres = None
        if kind == "postgresql":
            postgres = stack.enter_context(running_postgres())
            env["DATABASE_URL"] = stack.enter_context(postgres.database(tables=False))
        options = ("--fake-providers",)
        with running(root / "service", env, WORKERS, options, disk.within(root / "service")) as service:
            service.redis_url = redis.url
            it = Ground(service, redis, wire, disk, postgres)
            try:
                eventually(it.is_up)
                yield it
            except BaseException:
                disk.free()
                disk.save(root / "kept")
                raise
