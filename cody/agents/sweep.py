"""Finds processes by the marks in their environment, and ends them: for what no keeper of this worker holds any more.

The marks are `CODY_RUN_ID`, `CODY_TURN`, `CODY_ATTEMPT` and `CODY_WORKER`, which every agent gets and its children
inherit. A process whose environment one may not read is another user's and is left alone; so is whatever lives in
another PID namespace where a worker's pid means something else.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import psutil

from cody.agents.base import Quiet
from cody.clock import now_ms

RUN_ID = "CODY_RUN_ID"
TURN = "CODY_TURN"
ATTEMPT = "CODY_ATTEMPT"
WORKER = "CODY_WORKER"
KILL_PATIENCE_SECONDS = 3.0
LINUX = sys.platform == "linux"

Marks = Mapping[str, str]
Finder = Callable[[], list[psutil.Process]]


def worker_marker() -> str:
    """The name of this process,  `PID-STARTTIME`, unique as long as the machine is up: the value of `CODY_WORKER`."""
    return f"{os.getpid()}-{_started(os.getpid())}"


async def sweep(run_id: str, *, before: tuple[int, int] | None = None, grace_seconds: float = 5.0) -> Quiet:
    """End what a run left on this machine: all of it, or only what is older than `before` (turn, attempt)."""

    def wanted(marks: Marks) -> bool:
        if marks.get(RUN_ID) != run_id:
            return False
        return before is None or _place(marks) < before

    return await asyncio.to_thread(_end, lambda: _marked(RUN_ID, run_id, wanted), grace_seconds)


async def sweep_attempt(run_id: str, turn: str, attempt: str, *, grace_seconds: float = 5.0) -> Quiet:
    """End what one attempt left on this machine."""

    def wanted(marks: Marks) -> bool:
        return (marks.get(RUN_ID), marks.get(TURN), marks.get(ATTEMPT)) == (run_id, turn, attempt)

    return await asyncio.to_thread(_end, lambda: _marked(RUN_ID, run_id, wanted), grace_seconds)


async def sweep_dead_workers(*, grace_seconds: float = 5.0) -> Quiet:
    """End the agents of workers that no longer exist; for the start of a worker."""

    def wanted(marks: Marks) -> bool:
        pid, _, started = marks.get(WORKER, "").partition("-")
        return pid.isdigit() and bool(started) and _started(int(pid)) != started

    def find() -> list[psutil.Process]:
        return [process for process in _marked(WORKER, "", wanted) if _same_namespace(process.pid)]

    return await asyncio.to_thread(_end, find, grace_seconds)


def _place(marks: Marks) -> tuple[int, int]:
    """Turn and attempt; (0, 0), older than all, where they are not numbers."""
    turn, attempt = marks.get(TURN, ""), marks.get(ATTEMPT, "")
    return (int(turn), int(attempt)) if turn.isdecimal() and attempt.isdecimal() else (0, 0)


def _end(find: Finder, grace_seconds: float) -> Quiet:
    """SIGTERM, wait, then SIGKILL in rounds until `find` finds nothing; what then is left are the survivors."""
    alive = {process.pid: process for process in find()}
    if not alive:
        return Quiet(now_ms())
    met = set(alive)
    _signal(alive.values(), "SIGTERM")
    signals = ["SIGTERM"]
    _wait(alive, grace_seconds)
    deadline = time.monotonic() + KILL_PATIENCE_SECONDS
    while time.monotonic() < deadline:
        alive |= {process.pid: process for process in find()}
        if not alive:
            break
        met |= set(alive)
        if "SIGKILL" not in signals:
            signals.append("SIGKILL")
        _signal(alive.values(), "SIGKILL")
        _wait(alive, 0.1)
    return Quiet(now_ms(), tuple(signals), tuple(sorted(met - set(alive))), tuple(sorted(alive)))


def _signal(processes: Iterable[psutil.Process], name: str) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process.send_signal(signal.Signals[name])  # psutil looks first whether the pid is still the same process
            process.resume()  # a stopped process would never see it


def _wait(alive: dict[int, psutil.Process], seconds: float) -> None:
    """Take out of `alive` whoever ends within these seconds."""
    deadline = time.monotonic() + seconds
    while True:
        for pid in [pid for pid, process in alive.items() if not _is_alive(process)]:
            del alive[pid]
        if not alive or time.monotonic() >= deadline:
            return
        time.sleep(0.01)


def _is_alive(process: psutil.Process) -> bool:
    """A zombie that nobody reaps is as dead as it can get."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _marked(name: str, value: str, wanted: Callable[[Marks], bool]) -> list[psutil.Process]:
    """Processes that carry the mark `name` (beginning with `value`) and are `wanted`, with all their descendants.

    Never this process, nor one that it descends from: Cody may itself be run by an agent.
    """
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found: dict[int, psutil.Process] = {}
    for pid, marks in _environments(f"{name}={value}".encode()):
        if pid in spared or not wanted(marks):
            continue
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            below = process.children(recursive=True)
            found |= {each.pid: each for each in (process, *below) if each.pid not in spared}
    return [process for process in found.values() if _is_alive(process)]


def _environments(needle: bytes) -> Iterator[tuple[int, Marks]]:
    """Every process whose environment may be read and holds `needle`: its pid and its environment."""
    for pid in psutil.pids():
        try:
            if LINUX:
                raw = _read(f"/proc/{pid}/environ")
                if needle in raw:  # so that only few environments are taken apart
                    yield pid, _parsed(raw)
            else:
                yield pid, psutil.Process(pid).environ()
        except (FileNotFoundError, ProcessLookupError, PermissionError, psutil.NoSuchProcess, psutil.AccessDenied):
            continue


def _parsed(raw: bytes) -> Marks:
    pairs = (entry.partition("=") for entry in os.fsdecode(raw).split("\0"))
    return {name: value for name, _, value in pairs if name.startswith("CODY_")}


def _started(pid: int) -> str:
    """When a process started, in the system's own ticks; empty if it is gone (a zombie is)."""
    try:
        if not LINUX:
            return str(int(psutil.Process(pid).create_time()))
        # The fields after the command's name, which may itself hold blanks and brackets (proc(5): 3 and 22).
        fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError, psutil.NoSuchProcess):
        return ""
    return "" if fields[0] in b"ZX" else fields[19].decode()


def _same_namespace(pid: int) -> bool:
    try:
        return not LINUX or Path(f"/proc/{pid}/ns/pid").readlink() == Path("/proc/self/ns/pid").readlink()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False


def _read(path: str) -> bytes:
    with Path(path).open("rb") as file:
        return file.read()
