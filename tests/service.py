"""A real `cody dev` for tests, and a client of it: start runs, wait for them, follow their streams byte for byte.

The fixture `service` (see `conftest.py`) gives one to a test session; `running` gives one of your own, for tests that
need other settings or break it for good::

    def test_it(service):
        run = service.start("echo hello", max_turns=2)  # a script for sh; or a list: the command itself
        assert run.wait("completed")["stats"]["turns"] == 2
        assert [event["type"] for event in run.events()][-1] == "run_completed"

Everything is synchronous; use threads for many clients at once. Every wait has a deadline and fails loudly.
"""

import json
import os
import signal
import socket
import sqlite3
import struct
import subprocess
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import redis

from cody.cli.dev.ports import free_port
from tests.parts import PATIENCE_SECONDS

CODY = Path(__file__).resolve().parents[1] / ".venv" / "bin" / "cody"
START_SECONDS, STOP_SECONDS = 60.0, 10.0
ENDED = frozenset({"completed", "failed", "cancelled"})

T = TypeVar("T")


def eventually(look: Callable[[], T], seconds: float = PATIENCE_SECONDS, what: str = "") -> T:
    """Look until what is seen is true, and give it; AssertionError with what was seen last after `seconds`."""
    until = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > until:
            raise AssertionError(f"not within {seconds} s: {what or look}; seen last: {seen!r}")
        time.sleep(0.02)


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on, no two the same."""
    ports: set[int] = set()
    while len(ports) < number:
        ports.add(free_port())
    return list(ports)


@dataclass(frozen=True)
class Frame:
    """A block of a stream, as it came; `data` is None in a block that only carries comments."""

    raw: str
    id: str | None = None
    event: str | None = None
    data: str | None = None
    retry: int | None = None
    comments: tuple[str, ...] = ()

    @classmethod
    def of(cls, raw: str) -> "Frame":
        """Parse a block strictly: only known fields, each at most once."""
        fields: dict[str, str] = {}
        comments: list[str] = []
        for line in raw.removesuffix("\n\n").split("\n"):
            name, colon, value = line.partition(":")
            assert colon, f"not a field: {line!r}"
            if not name:
                comments.append(value.removeprefix(" "))
                continue
            assert name in {"id", "event", "data", "retry"}, raw
            assert name not in fields, raw
            fields[name] = value.removeprefix(" ")
        retry = int(fields["retry"]) if "retry" in fields else None
        return cls(raw, fields.get("id"), fields.get("event"), fields.get("data"), retry, tuple(comments))

    @property
    def json(self) -> dict[str, Any]:
        """The event."""
        return json.loads(self.data or "")

    @property
    def seq(self) -> int:
        """The SEQ of its id."""
        return int((self.id or "").partition("-")[0])


class Stream:
    """A GET over a connection of its own, read as raw bytes: the chunks and their bounds are as the server sent them.

    `status` and `headers` (lower case) are there at once. Iterate over its frames until the server closes; or take
    `next`, `until`, `rest`, each with a deadline (TimeoutError). Use it in a `with`, or close it.
    """

    def __init__(self, port: int, target: str, headers: Mapping[str, str] | None = None) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
        self._bytes, self._text = b"", ""
        self.chunks: list[bytes] = []
        """Each HTTP chunk, as it came."""
        self.ended = False
        """The server has closed the answer."""
        lines = [
            f"GET {target} HTTP/1.1",
            "Host: test",
            *(f"{name}: {value}" for name, value in (headers or {}).items()),
        ]
        try:
            self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
            head = self._until(b"\r\n\r\n", time.monotonic() + PATIENCE_SECONDS).decode().split("\r\n")
        except BaseException:
            self._socket.close()
            raise
        self.status = int(head[0].split(" ")[1])
        pairs = (line.split(": ", 1) for line in head[1:] if line)
        self.headers = {name.lower(): value for name, value in pairs}
        self._chunked = self.headers.get("transfer-encoding") == "chunked"

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def reset(self) -> None:
        """Hang up as a process that is killed with unread bytes does: the server gets a RST and no goodbye."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def body(self, seconds: float = PATIENCE_SECONDS) -> bytes:
        """The whole body, of an answer that is no stream or that the server ends."""
        until = time.monotonic() + seconds
        if not self._chunked:
            return self._exactly(int(self.headers.get("content-length", "0")), until)
        while not self.ended:
            self._read_chunk(until)
        return b"".join(self.chunks)

    def next(self, seconds: float = PATIENCE_SECONDS) -> Frame | None:
        """The next frame or comment; None when the server has closed."""
        until = time.monotonic() + seconds
        while "\n\n" not in self._text:
            if self.ended:
                assert not self._text, f"the stream ends in the middle of a frame: {self._text!r}"
                return None
            self._text += self._read_chunk(until).decode()
        raw, _, self._text = self._text.partition("\n\n")
        return Frame.of(raw + "\n\n")

    def __iter__(self) -> Iterator[Frame]:
        while (frame := self.next()) is not None:
            yield frame

    def until(self, found: Callable[[Frame], bool], seconds: float = PATIENCE_SECONDS) -> Frame:
        """The first frame that is wanted; those before it are passed over."""
        deadline = time.monotonic() + seconds
        while True:
            frame = self.next(deadline - time.monotonic())
            assert frame is not None, "the server closed the stream before that"
            if found(frame):
                return frame

    def rest(self, seconds: float = PATIENCE_SECONDS) -> list[Frame]:
        """Every frame up to the server's close."""
        deadline = time.monotonic() + seconds
        return list(iter(lambda: self.next(deadline - time.monotonic()), None))

    def _read_chunk(self, until: float) -> bytes:
        size = int(self._until(b"\r\n", until), 16)
        chunk = self._exactly(size + 2, until)[:-2]
        if size:
            self.chunks.append(chunk)
        self.ended = not size
        return chunk

    def _until(self, mark: bytes, until: float) -> bytes:
        while mark not in self._bytes:
            self._receive(until)
        found, _, self._bytes = self._bytes.partition(mark)
        return found

    def _exactly(self, size: int, until: float) -> bytes:
        while len(self._bytes) < size:
            self._receive(until)
        found, self._bytes = self._bytes[:size], self._bytes[size:]
        return found

    def _receive(self, until: float) -> None:
        # A deadline that has passed still takes what is there.
        self._socket.settimeout(max(until - time.monotonic(), 0.001))
        got = self._socket.recv(1 << 16)
        if not got:
            raise ConnectionError("the server hung up in the middle of an answer")
        self._bytes += got


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


class Service:
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
        self._workspaces = count(1)
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

    # What it is asked to do.

    def workspace(self) -> Path:
        """A new directory that runs may work in."""
        path = self.root / "work" / f"{next(self._workspaces)}"
        path.mkdir(parents=True)
        return path

    def body(self, agent: str | list[str], **options: Any) -> dict[str, Any]:
        """A start request for a `command` agent: a script for `sh`, or the command itself; options on top."""
        command = ["sh", "-c", agent] if isinstance(agent, str) else agent
        place = options.pop("working_dir", None) or self.workspace()
        return {"agent": {"kind": "command", "command": command}, "working_dir": str(place), **options}

    def post(self, body: Any, *, single: bool = False, key: str | None = None) -> httpx.Response:
        """The answer to a start, whatever it is."""
        headers = {"Idempotency-Key": key} if key is not None else {}
        return self.http.post("/api/runs" if single else "/api/runs/continuous", json=body, headers=headers)

    def start(self, agent: str | list[str], *, single: bool = False, key: str | None = None, **options: Any) -> Run:
        """Start a run, which must be accepted; `max_turns` is 1 unless told (None: no limit). See `body`."""
        if not single:
            options.setdefault("max_turns", 1)
        body = self.body(agent, **options)
        answer = self.post(body, single=single, key=key)
        assert answer.status_code == 202, answer.text
        return Run(self, answer.json(), Path(body["working_dir"]))

    def open(self, target: str, headers: Mapping[str, str] | None = None) -> Stream:
        """GET a stream (or anything else) over a connection of its own, raw."""
        return Stream(self.api_port, target, headers)

    def listed(self, **filters: str | int) -> Iterator[dict[str, Any]]:
        """Snapshots of the listing, page after page."""
        cursor: dict[str, str] = {}
        while True:
            page = self.http.get("/api/runs", params={**filters, **cursor}).raise_for_status().json()
            yield from page["runs"]
            if page["next_cursor"] is None:
                return
            cursor = {"cursor": page["next_cursor"]}


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def running(
    root: Path,
    env: Mapping[str, str] | None = None,
    workers: int = 1,
    options: Sequence[str] = (),
    within: Sequence[str] = (),
) -> Generator[Service]:
    """A service of one's own below `root`, ended at the end unless the test did so.

    `options` of `cody dev`; `within` is a command that becomes it, in surroundings of its own (`nsenter`, say).
    """
    service = Service(root, env, workers, options, within)
    service.start_process()
    try:
        yield service
    except BaseException:
        if service.process.poll() is None:
            service.process.send_signal(signal.SIGCONT)
            service.kill()
        raise
    else:
        if service.process.poll() is None:
            service.stop()
    finally:
        service.http.close()
