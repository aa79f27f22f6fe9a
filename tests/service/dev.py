"""A `cody dev` in a directory of its own: how it starts and ends, and its parts."""

import os
import sqlite3
import subprocess
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import redis

from cody.cli.dev.ports import free_port
from tests.parts import eventually

CODY = Path(__file__).resolve().parents[2] / ".venv" / "bin" / "cody"
START_SECONDS, STOP_SECONDS = 180.0, 10.0


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on, no two the same."""
    ports: set[int] = set()
    while len(ports) < number:
        ports.add(free_port())
    return list(ports)


class Dev:
    """A `cody dev --no-demo` in a directory of its own; `start_process` and `stop` are the fixture's."""

    def __init__(
        self,
        root: Path,
        env: Mapping[str, str] | None = None,
        workers: int = 1,
        options: Sequence[str] = (),
        within: Sequence[str] = (),
    ) -> None:
        self.root = root.resolve()
        """Where it was started, so the root that working directories may lie in."""
        self.data_dir = self.root / "data"
        self.api_port, self.temporal_port, self.ui_port, self.redis_port = free_ports(4)
        self.url = f"http://127.0.0.1:{self.api_port}"
        self.temporal_address = f"127.0.0.1:{self.temporal_port}"
        self.redis_url = f"redis://127.0.0.1:{self.redis_port}/0"
        self.http = httpx.Client(base_url=self.url, timeout=30, trust_env=False)
        self.said = self.root / "cody-dev.out"
        self._env, self._workers, self._options, self._within = dict(env or {}), workers, options, within
        self._process: subprocess.Popen[bytes] | None = None

    # Its life.

    def start_process(self) -> None:
        """Start it, and wait for its line `ready http://…`. May be called again after `stop`: the same data."""
        ours = ("CODY_", "REDIS_", "TEMPORAL_", "DATABASE_", "OPENAI_", "ANTHROPIC_")
        env = {name: value for name, value in os.environ.items() if not name.startswith(ours)} | self._env
        ports = [f"--api-port={self.api_port}", f"--temporal-port={self.temporal_port}"]
        ports += [f"--ui-port={self.ui_port}", f"--redis-port={self.redis_port}"]
        command = [
            *self._within,
            CODY,
            "dev",
            "--no-demo",
            *ports,
            f"--workers={self._workers}",
            f"--data-dir={self.data_dir}",
        ]
        command += self._options
        with self.said.open("wb") as out:
            self._process = subprocess.Popen(command, cwd=self.root, env=env, stdout=out, stderr=out)
        try:
            eventually(self._ready, START_SECONDS, "ready http://…")
        except BaseException:
            self.kill()
            raise

    def _ready(self) -> bool:
        assert self.process.poll() is None, self.said.read_text()
        return f"ready {self.url}\n" in self.said.read_text()

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """`cody dev` itself."""
        assert self._process is not None
        return self._process

    def stop(self) -> float:
        """End it by SIGTERM: exit code 0 within ten seconds, and nothing is left. Gives the seconds that it took."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        began = time.monotonic()
        self.process.terminate()
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise AssertionError(f"no end within {STOP_SECONDS} s of SIGTERM: {self.said.read_text()}") from error
        took = time.monotonic() - began
        self.http.close()
        left = {process for process in [*family, *self.strays()] if _alive(process)}
        for process in left:
            process.kill()
        assert not left, f"left behind: {left}"
        assert code == 0, self.said.read_text()
        assert "Traceback" not in self.said.read_text()
        return took

    def kill(self) -> None:
        """End everything by SIGKILL: after a failure."""
        if self.process.poll() is not None:
            return
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.kill()
        self.process.wait()

    def strays(self) -> list[psutil.Process]:
        """Processes that work somewhere below `root`: parts and agents, whoever their parent is by now."""
        found: list[psutil.Process] = []
        for process in psutil.process_iter():
            try:
                if Path(process.cwd()).is_relative_to(self.root) and process.pid != os.getpid():
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found

    # Its parts.

    def parts(self, name: str) -> list[psutil.Process]:
        """The processes of `api`, `worker`, `redis` or `temporal` that live now."""
        found: list[psutil.Process] = []
        for process in psutil.Process(self.process.pid).children():
            try:
                command = process.cmdline()
            except psutil.Error:
                continue
            if not command or any(word.endswith("tether.py") for word in command):
                continue  # it is just dying, or its tether has not become it yet
            if self._is(name, command):
                found.append(process)
        return found

    def _is(self, name: str, command: list[str]) -> bool:
        if name == "redis":
            return Path(command[0].split(" ")[0]).name in {"redis-server", "valkey-server"}
        return command[-1] == name if name in {"api", "worker"} else "start-dev" in command

    def part(self, name: str) -> psutil.Process:
        """The one process of this part; waited for, as a part that died is started again."""
        return eventually(lambda: self.parts(name), what=f"a process of {name}")[0]

    @contextmanager
    def frozen(self, name: str) -> Generator[None]:
        """Every process of the part is stopped (SIGSTOP) for as long as the context lasts.

        A worker is stopped between its writes: SQLite's lock would stop the API too if a frozen process held it.
        PostgreSQL's are a single run's, and it takes them back from who sleeps.
        """
        processes = [self.part(name), *self.parts(name)[1:]]

        def freeze() -> bool:
            for process in processes:
                process.suspend()
            if name != "worker" or not self._database_is_locked():
                return True
            for process in processes:
                process.resume()
            return False

        try:
            eventually(freeze, what=f"{name} stopped without a lock")
            yield
        finally:
            for process in processes:
                with suppress(psutil.NoSuchProcess):  # a test may have killed it meanwhile
                    process.resume()

    def _database_is_locked(self) -> bool:
        if "DATABASE_URL" in self._env:
            return False
        with closing(sqlite3.connect(self.data_dir / "cody.db", timeout=1)) as database:
            try:
                database.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
        return False

    @contextmanager
    def redis(self) -> Generator["redis.Redis"]:
        """A client of its Redis."""
        client = redis.Redis.from_url(self.redis_url)
        try:
            yield client
        finally:
            client.close()


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
