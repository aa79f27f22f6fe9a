"""Finds the lines of test runners in text that comes in any pieces, and makes the two events of each run of them.

An agent that reports its test runs by telemetry is believed instead: while a run it reported is open nothing is
recognised, and a recognised end waits a moment, so that the agent's own report of it, if there is one, takes its place.
"""

import math
import re
import time
from collections.abc import Callable

from cody.agents.recognise.bun import Bun
from cody.agents.recognise.cargo import Cargo
from cody.agents.recognise.go import Go
from cody.agents.recognise.jest import Jest
from cody.agents.recognise.pytest import Pytest
from cody.agents.recognise.runner import HOLD_SECONDS, Counts, Runner, Said, Sign
from cody.agents.recognise.vitest import Vitest
from cody.agents.reports import Report
from cody.contract.payloads import TestRunCompleted, TestRunStarted

MAX_LINE = 2000
"""Characters of a line; what is longer is none of a runner's."""

_CONTROL = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|[()][0-9A-Z])")
"""Colours, cursor movements and character sets."""
_BEFORE = frozenset("\x1b \t\r")
"""What may stand before the first character of a line of interest."""


class Recogniser:
    """What both streams of one attempt say about test runs. `feed` and `flush` give the events to tell."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rest: dict[str, str] = {}
        self._runs = [_Run(runner) for runner in (Pytest(), Vitest(), Jest(), Bun(), Cargo(), Go())]
        self._by_first = _by_first(self._runs)
        self._firsts = _BEFORE.union(self._by_first)
        self._reported = 0
        self._last_report: tuple[TestRunCompleted, float] | None = None

    def feed(self, stream: str, text: str) -> list[Report]:
        """Look at more text of a stream."""
        whole = self._rest.get(stream, "") + text
        lines, _, rest = whole.rpartition("\n")
        self._rest[stream] = rest if len(rest) <= MAX_LINE else "\0"
        found: list[Report] = []
        firsts = self._firsts
        for line in lines.split("\n"):
            if line[:1] in firsts and len(line) <= MAX_LINE and not self._reported:
                self._line(stream, _plain(line), found)
        return found

    def reported(self, report: Report) -> None:
        """The agent itself reported this: it takes the place of what was recognised."""
        if report.type == "test_run_started":
            self._reported += 1
        elif isinstance(report.payload, TestRunCompleted):
            self._reported = max(0, self._reported - 1)
            self._last_report = (report.payload, self._clock())
            for run in self._runs:
                run.close()

    def wait(self) -> float | None:
        """Seconds until `flush` has something to tell; None while nothing waits."""
        due = min(run.tell_at for run in self._runs)
        return None if due == math.inf else max(0.0, due - self._clock())

    def flush(self, *, final: bool = False) -> list[Report]:
        """The recognised ends of runs, once the agent has had its chance to report them, or at the end of all."""
        now = self._clock()
        runs = sorted(self._runs, key=lambda run: run.tell_at)
        return [run.tell(run.counts) for run in runs if run.counts is not None and (final or now >= run.tell_at)]

    def finish(self, stream: str) -> list[Report]:
        """The stream has ended: its last line needs no line end."""
        return self.feed(stream, "\n")

    def _line(self, stream: str, line: str, found: list[Report]) -> None:
        for run in self._by_first.get(line[:1], ()):
            if line.startswith(run.runner.starts):
                for said in run.runner.read(line, stream):
                    self._said(run, stream, said, found)

    def _said(self, run: "_Run", stream: str, said: Said, found: list[Report]) -> None:
        if isinstance(said, Counts):
            self._counted(run, stream, said, found)
        elif said is Sign.OVER:
            found += [run.tell(run.counts)] if run.counts is not None else []
        elif said is Sign.HEADER and run.runner.on_two_streams and run.headless not in (None, stream):
            run.headless = None
        elif said is Sign.HEADER:
            self._begin(run, found)
        elif run.open and run.runner.in_parts:
            run.tell_at = math.inf  # another part of it has begun
        elif not run.open or run.counts is not None:
            self._begin(run, found, headless=stream)

    def _counted(self, run: "_Run", stream: str, counts: Counts, found: list[Report]) -> None:
        if self._is_just_reported(counts.completed(run.runner.command)):
            run.close()
            return
        if not run.open or (run.counts is not None and not run.runner.in_parts):
            self._begin(run, found, headless=stream)
        run.counts = counts
        run.tell_at = self._clock() + run.runner.hold_seconds

    def _begin(self, run: "_Run", found: list[Report], headless: str | None = None) -> None:
        """A run begins; what waits was before it. `headless` is the stream that told of it, if that was no header."""
        found += self.flush(final=True)
        run.open = True
        run.headless = headless
        found.append(Report("test_run_started", TestRunStarted(command=run.runner.command)))

    def _is_just_reported(self, ended: TestRunCompleted) -> bool:
        """Whether the agent has just reported the run whose output it prints now."""
        if self._last_report is None:
            return False
        report, at = self._last_report
        return self._clock() - at < HOLD_SECONDS and _numbers(ended) == _numbers(report)


class _Run:
    """The newest run of one runner."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.open = False
        """Its start was told and its end was not."""
        self.counts: Counts | None = None
        """Its end, which waits to be told at `tell_at`."""
        self.tell_at = math.inf
        self.headless: str | None = None
        """The stream that told of it, if its header was not read yet."""

    def tell(self, counts: Counts) -> Report:
        """Its end."""
        self.close()
        return Report("test_run_completed", counts.completed(self.runner.command))

    def close(self) -> None:
        """It is told, or of no interest any more."""
        self.open = False
        self.counts = None
        self.tell_at = math.inf
        self.runner.forget()


def _by_first(runs: list[_Run]) -> dict[str, list[_Run]]:
    """Which runners care for a line that begins with a character."""
    found: dict[str, list[_Run]] = {}
    for run in runs:
        for first in dict.fromkeys(start[0] for start in run.runner.starts):
            found.setdefault(first, []).append(run)
    return found


def _plain(line: str) -> str:
    """The line as it is seen in the end: without colours and blanks around it, and what was drawn over is gone."""
    if "\x1b" in line:
        line = _CONTROL.sub("", line)
    line = line.strip()
    return line.rpartition("\r")[2].lstrip() if "\r" in line else line


def _numbers(run: TestRunCompleted) -> tuple[int, int, int]:
    return run.passed, run.failed, run.skipped
