"""Recognises a pytest run in what an agent prints: its header and its last line, as pytest 6 to 9 write them.

An agent that reports its test runs by telemetry is believed instead: while a run it reported is open nothing is
recognised, and a recognised end waits a moment, so that the agent's own report of it, if there is one, takes its place.
"""

import re
import time
from collections.abc import Callable

from cody.agents.reports import Report
from cody.contract.payloads import TestRunCompleted, TestRunStarted

COMMAND = "pytest"
HOLD_SECONDS = 0.3
MAX_LINE = 2000
"""Characters of a line; what is longer is none of pytest's."""

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_HEADER = re.compile(r"=+ test session starts =+")
_COUNTED = (
    r"\d+ (?:passed|failed|errors?|skipped|deselected|xfailed|xpassed|warnings?|rerun|subtests passed|subtests failed)"
)
_SUMMARY = re.compile(
    rf"(?P<bar>=+ )?(?P<counts>{_COUNTED}(?:, {_COUNTED})*|no tests (?:ran|collected)(?: \(\d+ deselected\))?)"
    r" in (?P<seconds>\d+\.\d\d)s(?: \(\d+(?: days?, \d+)?:\d\d:\d\d\))?(?(bar) =+)"
)
_COUNT = re.compile(r"(\d+) ([a-z ]+)")
_HINTS = (" test session starts ", " in ")
"""Cheap to look for: one of these is in every line of interest, whatever its colours."""
_FAILED = frozenset({"failed", "error", "errors"})
_PASSED = frozenset({"passed", "xpassed"})
_SKIPPED = frozenset({"skipped", "xfailed"})


class Recogniser:
    """What both streams of one attempt say about test runs. `feed` and `flush` give the events to tell."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rest: dict[str, str] = {}
        self._reported = 0
        self._started = False
        self._ended: TestRunCompleted | None = None
        self._tell_at = 0.0
        self._last_report: tuple[TestRunCompleted, float] | None = None

    def feed(self, stream: str, text: str) -> list[Report]:
        """Look at more text of a stream."""
        whole = self._rest.get(stream, "") + text
        lines, _, rest = whole.rpartition("\n")
        self._rest[stream] = rest if len(rest) <= MAX_LINE else "\0"
        if not _hinted(lines):
            return []
        found: list[Report] = []
        for line in lines.split("\n"):
            if len(line) <= MAX_LINE and _hinted(line):
                self._line(_ANSI.sub("", line).strip(), found)
        return found

    def reported(self, report: Report) -> None:
        """The agent itself reported this: it takes the place of what was recognised."""
        if report.type == "test_run_started":
            self._reported += 1
        elif isinstance(report.payload, TestRunCompleted):
            self._reported = max(0, self._reported - 1)
            self._started = False
            self._last_report = (report.payload, self._clock())
            self._ended = None

    def wait(self) -> float | None:
        """Seconds until `flush` has something to tell; None while nothing waits."""
        return max(0.0, self._tell_at - self._clock()) if self._ended else None

    def flush(self, *, final: bool = False) -> list[Report]:
        """The recognised end of a run, once the agent has had its chance to report it, or at the end of all."""
        if self._ended and (final or self._clock() >= self._tell_at):
            ended, self._ended = self._ended, None
            return [Report("test_run_completed", ended)]
        return []

    def finish(self, stream: str) -> list[Report]:
        """The stream has ended: its last line needs no line end."""
        return self.feed(stream, "\n")

    def _line(self, line: str, found: list[Report]) -> None:
        if self._reported:
            return
        if _HEADER.fullmatch(line):
            self._begin(found)
        elif summary := _SUMMARY.fullmatch(line):
            ended = _completed(summary)
            if self._last_report and self._is_same(ended, *self._last_report):
                self._started = False
                return
            if not self._started:
                self._begin(found)
            self._started = False
            self._ended = ended
            self._tell_at = self._clock() + HOLD_SECONDS

    def _begin(self, found: list[Report]) -> None:
        found += self.flush(final=True)
        self._started = True
        found.append(Report("test_run_started", TestRunStarted(command=COMMAND)))

    def _is_same(self, ended: TestRunCompleted, report: TestRunCompleted, at: float) -> bool:
        """Whether the agent has just reported the run whose output it prints now."""
        recent = self._clock() - at < HOLD_SECONDS
        return recent and _counts(ended) == _counts(report)


def _hinted(text: str) -> bool:
    return any(hint in text for hint in _HINTS)


def _counts(run: TestRunCompleted) -> tuple[int, int, int]:
    return run.passed, run.failed, run.skipped


def _completed(summary: "re.Match[str]") -> TestRunCompleted:
    passed = failed = skipped = 0
    for number, what in _COUNT.findall(summary["counts"]):
        count = int(number)
        passed += count if what in _PASSED else 0
        failed += count if what in _FAILED else 0
        skipped += count if what in _SKIPPED else 0
    return TestRunCompleted(
        command=COMMAND,
        passed=passed,
        failed=failed,
        skipped=skipped,
        duration_ms=round(float(summary["seconds"]) * 1000),
    )
