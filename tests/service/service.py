"""What a `cody dev` is asked to do."""

import signal
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from tests.service.dev import Dev
from tests.service.frames import Stream
from tests.service.run import Run

_workspaces = count(1)  # of all services, as two may be started in one directory, one after the other


class Service(Dev):
    """A `cody dev`, and a client of it."""

    def workspace(self) -> Path:
        """A new directory that runs may work in."""
        path = self.root / "work" / f"{next(_workspaces)}"
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
