"""The watch on a working directory: tells which files and logs changed, while the turn goes on and at its end."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from cody.agents.logs import WatchedLog
from cody.agents.patterns import Globs
from cody.agents.scan import Scan, Scanner, State, shown
from cody.contract.errors import WATCH_FAILED
from cody.contract.payloads import FileDeleted, FileWritten, LogDelta, LogUpdated, Payload, Warned

POLL_SECONDS = 0.5
SETTLE_SECONDS = 0.3
"""How long a change waits, so that what the agent itself reports about it can come first."""
REST_PER_COST = 4.0
"""A look that took a second is followed by four of rest: at most a fifth of a core."""
SAME_WRITE_NS = 1_000_000_000
"""A file may still be written this long after the agent reported it; later, it is another change."""

Emit = Callable[[str, Payload], None]


@dataclass
class _Mark:
    """What the agent reported about a path, and whether a change was already put down to it."""

    type: str
    at_ns: int
    used: bool = False


class Workspace:
    """Watches `root` from `start` to `finish` and tells `emit` about what the agent did not report itself.

    `logs` are paths relative to `root`; they give `log_updated`, all other files that `include` and not `exclude` mean
    give `file_written` and `file_deleted`. Paths that the agent reports must be passed to `reported`.
    """

    def __init__(
        self, root: Path, emit: Emit, *, logs: Sequence[str], include: Sequence[str], exclude: Sequence[str]
    ) -> None:
        self._emit = emit
        self._logs = {path: WatchedLog(root, path) for path in logs}
        self._scanner = Scanner(root, Globs(include), Globs(exclude), but=logs)
        self._told: dict[str, State] = {}
        self._begun = False
        self._marks: dict[str, _Mark] = {}
        self._faults: list[str] = []
        self._warned = False
        self._finishing = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.finish()

    async def begin(self) -> None:
        """Take things as they are for known. Before the agent starts."""
        self._told, self._begun = await asyncio.to_thread(self._begin), True
        self._warn()

    async def start(self) -> None:
        """Watch from now on; `begin` first, where that was not done yet."""
        if not self._begun:
            await self.begin()
        self._tasks = [asyncio.create_task(self._watch_files()), asyncio.create_task(self._watch_logs())]

    async def finish(self) -> None:
        """Tell at once what has changed until now, and stop. Raises what the watch failed with, if it did."""
        self._finishing.set()
        if self._tasks:
            tasks, self._tasks = self._tasks, []
            await asyncio.gather(*tasks)
            changed, _ = await self._look()
            await self._tell_files(changed)
            await self._tell_logs(self._logs.values())

    def reported(self, path: str, type_: str = "file_written") -> None:
        """The agent said this itself (`file_written`, `file_deleted`, `log_updated`): it is not said twice."""
        self._marks[path] = _Mark(type_, time.time_ns())

    async def _watch_files(self) -> None:
        cost = 0.0
        while await self._rests(max(POLL_SECONDS, REST_PER_COST * cost) - SETTLE_SECONDS):
            changed, cost = await self._look()
            await self._rests(SETTLE_SECONDS)
            await self._tell_files(changed)

    async def _watch_logs(self) -> None:
        """Beside the files: a log costs one look at it, however many files there are."""
        while await self._rests(POLL_SECONDS - SETTLE_SECONDS):
            changed = await asyncio.to_thread(lambda: [log for log in self._logs.values() if log.changed()])
            await self._rests(SETTLE_SECONDS)
            await self._tell_logs(changed)

    async def _rests(self, seconds: float) -> bool:
        """Whether it may rest so long; False once the watch is to finish."""
        try:
            async with asyncio.timeout(seconds):
                await self._finishing.wait()
        except TimeoutError:
            return True
        return False

    async def _look(self) -> tuple[set[str], float]:
        """What has changed since it was last told, and the seconds that it took to see."""
        seen = await asyncio.to_thread(self._changes)
        self._warn()
        return seen

    def _begin(self) -> dict[str, State]:
        for log in self._logs.values():
            self._guarded(log, log.begin)
        return self._kept(self._scanner.scan({}))

    def _changes(self) -> tuple[set[str], float]:
        started = time.monotonic()
        found = self._kept(self._scanner.scan(self._told))
        changed = {path for path, state in found.items() if self._told.get(path) != state}
        changed |= self._told.keys() - found.keys()
        return changed, time.monotonic() - started

    def _kept(self, scan: Scan) -> dict[str, State]:
        self._faults += scan.faults
        return scan.files

    async def _tell_files(self, paths: Iterable[str]) -> None:
        due = sorted(paths)
        states = await asyncio.to_thread(self._scanner.states, due) if due else {}
        for path, state in states.items():
            self._tell_file(path, state)
        self._warn()

    async def _tell_logs(self, logs: Iterable[WatchedLog]) -> None:
        for log in logs:
            await self._tell_log(log)
        self._warn()

    def _tell_file(self, path: str, state: State | None) -> None:
        before = self._told.get(path)
        if state == before:
            return
        if state is None:
            del self._told[path]
            if not self._is_reported(path, "file_deleted", 0):
                self._emit("file_deleted", FileDeleted(path=shown(path)))
            return
        self._told[path] = state
        if not self._is_reported(path, "file_written", state.mtime_ns):
            self._emit("file_written", FileWritten(path=shown(path), bytes=state.size))

    async def _tell_log(self, log: WatchedLog) -> None:
        existed = log.exists
        delta: LogDelta | None = await asyncio.to_thread(self._guarded, log, log.take)
        if delta and not self._is_reported(log.path, "log_updated", 0):
            self._emit("log_updated", LogUpdated(kind=log.path, path=log.path, delta=delta))
        if existed and not log.exists and not self._is_reported(log.path, "file_deleted", 0):
            self._emit("file_deleted", FileDeleted(path=log.path))

    def _guarded(self, log: WatchedLog, look: Callable[[], LogDelta | None]) -> LogDelta | None:
        try:
            return look()
        except (OSError, RuntimeError) as error:  # RuntimeError: a loop of symlinks, until Python 3.13
            self._faults.append(f"{log.path}: {getattr(error, 'strerror', None) or error}")
            return None

    def _is_reported(self, path: str, type_: str, mtime_ns: int) -> bool:
        """Whether a change is what the agent reported: the next one after its report, or more of the same write."""
        mark = self._marks.get(path)
        if mark is None or mark.type != type_:
            return False
        same = not mark.used or 0 < mtime_ns <= mark.at_ns + SAME_WRITE_NS
        mark.used = True
        return same

    def _warn(self) -> None:
        """Say once that something could not be watched."""
        if self._faults and not self._warned:
            self._warned = True
            self._emit("warning", Warned(code=WATCH_FAILED, message=f"cannot watch {'; '.join(self._faults[:5])}"))
        self._faults.clear()
