"""vitest 1 to 4: a line `RUN v…`, and at the end a block of `Test Files`, `Tests`, perhaps `Errors`, and `Duration`.

On a terminal the same block is drawn again and again while the tests run; only that of the end tells in brackets what
the time was spent on. The reporters that write for machines (json, junit, tap) are not recognised.
"""

import re
from collections.abc import Iterator

from cody.agents.recognise.runner import Counts, Runner, Said, Sign

_HEADER = re.compile(r"(?:RUN|DEV)\s+v\d+\.\d+\.\d+\S*\s+\S.*")
_NOTHING = re.compile(r"No test files found, exiting with code \d+")
_PART = r"\d+ (?:failed|passed|skipped|todo|expected fail)"
_FILES = re.compile(rf"Test Files\s+(?P<parts>no tests|{_PART}(?: \| {_PART})*)(?: \(\d+\))?")
_TESTS = re.compile(rf"Tests\s+(?P<parts>no tests|{_PART}(?: \| {_PART})*)(?: \(\d+\))?")
_ERRORS = re.compile(r"(?:Type )?Errors\s+(?P<errors>\d+) errors?")
_DURATION = re.compile(r"Duration\s+(?P<time>\d+(?:\.\d+)?)(?P<unit>ms|s) \(\w+ .+\)")
_COUNT = re.compile(r"(\d+) ([a-z ]+?)(?: \||$)")
_PASSED = frozenset({"passed", "expected fail"})
_SKIPPED = frozenset({"skipped", "todo"})


class Vitest(Runner):
    """vitest. A run in which no test failed, but a file or something outside of tests, has failures all the same."""

    command = "vitest"
    starts = ("RUN", "DEV", "Test Files", "Tests", "Errors", "Type Errors", "Duration", "No test files found")
    on_two_streams = True

    def __init__(self) -> None:
        self._broken = 0
        self._tests: Counts | None = None

    def read(self, line: str, stream: str) -> Iterator[Said]:
        """See `Runner.read`."""
        if _HEADER.fullmatch(line):
            self._tests = None
            yield Sign.HEADER
        elif files := _FILES.fullmatch(line):
            self._broken = _counts(files["parts"]).failed
        elif tests := _TESTS.fullmatch(line):
            self._tests = _counts(tests["parts"])
        elif errors := _ERRORS.fullmatch(line):
            self._broken += int(errors["errors"])
        elif self._tests and (duration := _DURATION.fullmatch(line)):
            time = float(duration["time"]) * (1 if duration["unit"] == "ms" else 1000)
            yield self._tests._replace(failed=self._tests.failed or self._broken, milliseconds=time)
            self._tests = None
        elif _NOTHING.fullmatch(line):
            yield Counts()


def _counts(parts: str) -> Counts:
    passed = failed = skipped = 0
    for number, what in _COUNT.findall(parts):
        count = int(number)
        passed += count if what in _PASSED else 0
        failed += count if what == "failed" else 0
        skipped += count if what in _SKIPPED else 0
    return Counts(passed, failed, skipped)
