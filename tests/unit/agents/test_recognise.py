import pytest

from cody.agents.recognise import HOLD_SECONDS, Recogniser
from cody.agents.reports import Report
from cody.contract.payloads import TestRunCompleted, TestRunStarted

BAR = "=" * 20
HEADER = f"{BAR} test session starts {BAR}\n"
VERBOSE = f"""{HEADER}platform linux -- Python 3.11.7, pytest-9.0.1, pluggy-1.6.0
rootdir: /srv/project
collected 6 items

test_it.py F..s.                                                         [100%]

{BAR} FAILURES {BAR}
E       assert 3 passed in 2.00s
{BAR} short test summary info {BAR}
FAILED test_it.py::test_a - assert 0
{BAR} 1 failed, 3 passed, 1 skipped in 0.12s {BAR}
"""
COLOURED = (
    "\x1b[1m============================= test session starts ==============================\x1b[0m\n"
    "\x1b[31m========================= \x1b[31m\x1b[1m1 failed\x1b[0m, \x1b[32m1 passed\x1b[0m\x1b[31m in 0.02s\x1b[0m"
    "\x1b[31m =========================\x1b[0m\n"
)
QUIET = ".F.s  [100%]\n1 failed, 2 passed, 1 skipped in 0.03s\n"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def told(text: str) -> list[Report]:
    recogniser = Recogniser(Clock())
    return recogniser.feed("stdout", text) + recogniser.finish("stdout") + recogniser.flush(final=True)


@pytest.mark.parametrize(
    ("text", "counts", "duration_ms"),
    [
        (VERBOSE, (3, 1, 1), 120),
        (COLOURED, (1, 1, 0), 20),
        (QUIET, (2, 1, 1), 30),
        (f"{HEADER}{BAR} no tests ran in 0.00s {BAR}\n", (0, 0, 0), 0),
        ("no tests ran in 0.01s", (0, 0, 0), 10),
        (f"{BAR} 5 passed in 61.02s (0:01:01) {BAR}\n", (5, 0, 0), 61020),
        (f"{BAR} 2 errors in 0.30s {BAR}\n", (0, 2, 0), 300),
        ("1 failed, 2 passed, 1 error in 1.00s\r\n", (2, 2, 0), 1000),
        (f"{BAR} 1 passed, 2 skipped, 3 deselected, 4 xfailed, 5 xpassed, 6 warnings in 0.10s {BAR}", (6, 0, 6), 100),
        ("1 passed, 1 warning in 0.01s\n", (1, 0, 0), 10),
        (f"{BAR} 3 deselected in 0.02s {BAR}", (0, 0, 0), 20),
        (f"{BAR} 2 passed, 1 rerun in 90061.00s (1 day, 1:01:01) {BAR}", (2, 0, 0), 90061000),
    ],
)
def test_a_run_is_recognised(text: str, counts: tuple[int, int, int], duration_ms: int) -> None:
    reports = told(text)
    assert [report.type for report in reports] == ["test_run_started", "test_run_completed"]
    ended = reports[1].payload
    assert isinstance(ended, TestRunCompleted)
    assert (ended.passed, ended.failed, ended.skipped) == counts
    assert ended.duration_ms == duration_ms
    assert ended.command == "pytest"


@pytest.mark.parametrize(
    "text",
    [
        "3 passed the exam in 2s\n",
        "3 passed in 2s\n",
        "All 3 passed in 0.12s.\n",
        "=== 3 passed in time ===\n",
        "test session starts\n",
        "E   assert '3 passed in 0.12s'\n",
        "I saw: 3 passed, 1 failed in 0.12s\n",
        "12 in 0.12s\n",
        "passed in 0.12s\n",
        "x" * 5000 + " in 0.12s\n",
    ],
)
def test_prose_is_not(text: str) -> None:
    assert told(text) == []


@pytest.mark.parametrize("size", [1, 7, 50])
def test_it_does_not_matter_how_the_text_comes(size: int) -> None:
    recogniser = Recogniser(Clock())
    reports = [
        report
        for at in range(0, len(VERBOSE), size)
        for report in recogniser.feed("stdout", VERBOSE[at : at + size])
    ]  # fmt: skip
    assert reports + recogniser.flush(final=True) == told(VERBOSE)


def test_nothing_is_recognised_while_a_reported_run_is_open() -> None:
    recogniser = Recogniser(Clock())
    recogniser.reported(Report("test_run_started", TestRunStarted(command="make test")))
    assert recogniser.feed("stdout", VERBOSE) == []
    recogniser.reported(Report("test_run_completed", TestRunCompleted(command="make test", passed=3)))
    assert recogniser.flush(final=True) == []


def test_the_agents_own_report_takes_the_place_of_the_recognised_end() -> None:
    clock = Clock()
    recogniser = Recogniser(clock)
    assert [report.type for report in recogniser.feed("stdout", VERBOSE)] == ["test_run_started"]
    assert recogniser.wait() == pytest.approx(HOLD_SECONDS)
    assert recogniser.flush() == []
    recogniser.reported(Report("test_run_completed", TestRunCompleted(command="pytest", passed=3, failed=1, skipped=1)))
    assert recogniser.wait() is None
    assert recogniser.flush(final=True) == []
    # The same output printed after the report is the same run.
    assert recogniser.feed("stderr", QUIET.replace("2 passed", "3 passed")) == []
    assert recogniser.flush(final=True) == []


def test_a_recognised_end_is_told_when_nobody_reports_it() -> None:
    clock = Clock()
    recogniser = Recogniser(clock)
    recogniser.feed("stdout", VERBOSE)
    clock.now += HOLD_SECONDS
    assert recogniser.wait() == 0
    assert [report.type for report in recogniser.flush()] == ["test_run_completed"]


def test_two_runs_are_two() -> None:
    assert [report.type for report in told(VERBOSE + QUIET)] == ["test_run_started", "test_run_completed"] * 2
