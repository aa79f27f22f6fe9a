"""jest 27 to 30: a line `PASS …` or `FAIL …` for each file, and at the end `Test Suites:`, `Tests:`, …, `Time:`.

On a terminal the same block is drawn again and again while the tests run, with the time in whole seconds; at the end
the time has a fraction, and almost always a line `Ran all test suites` follows.
"""

import re
from collections.abc import Iterator

from cody.agents.recognise.runner import Counts, Runner, Said, Sign

_FILE = re.compile(r"(?:PASS|FAIL)\s{1,2}(?:\S+ )?\S+\.[cm]?[jt]sx?(?: \(\d+(?:\.\d+)? m?s(?:, .+)?\))?")
_NOTHING = re.compile(r"No tests found, exiting with code \d+")
_PART = r"\d+ (?:failed|passed|skipped|todo|pending)"
_SUITES = re.compile(rf"Test Suites:\s+(?P<parts>(?:{_PART}, )*)(?:\d+ of )?\d+ total")
_TESTS = re.compile(rf"Tests:\s+(?P<parts>(?:{_PART}, )*)\d+ total")
_TIME = re.compile(r"Time:\s+(?P<time>\d+(?:\.\d+)?) (?P<unit>m?s)(?:, estimated \d+ m?s)?")
_RAN = re.compile(r"Ran all test suites\b.*")
_COUNT = re.compile(r"(\d+) ([a-z]+)")
_SKIPPED = frozenset({"skipped", "todo", "pending"})


class Jest(Runner):
    """jest. A run of which no test failed, but a file as a whole, has failures all the same: its files."""

    command = "jest"
    starts = ("PASS", "FAIL", "Test Suites:", "Tests:", "Time:", "Ran all test suites", "No tests found")

    def __init__(self) -> None:
        self._broken = 0
        self._tests: Counts | None = None
        self._drawn: Counts | None = None

    def read(self, line: str, stream: str) -> Iterator[Said]:
        """See `Runner.read`."""
        if _FILE.fullmatch(line):
            yield Sign.UNDER_WAY
        elif suites := _SUITES.fullmatch(line):
            self._broken = _counts(suites["parts"]).failed
            self._tests = self._drawn = None
        elif tests := _TESTS.fullmatch(line):
            self._tests = _counts(tests["parts"])
        elif self._tests and (time := _TIME.fullmatch(line)):
            scale = 1 if time["unit"] == "ms" else 1000
            ended = self._tests._replace(
                failed=self._tests.failed or self._broken, milliseconds=float(time["time"]) * scale
            )
            self._tests = None
            if "." in time["time"] or time["unit"] == "ms":
                yield ended
            else:
                self._drawn = ended
        elif self._drawn and _RAN.fullmatch(line):
            yield self._drawn
            self._drawn = None
        elif _NOTHING.fullmatch(line):
            yield Counts()


def _counts(parts: str) -> Counts:
    passed = failed = skipped = 0
    for number, what in _COUNT.findall(parts):
        count = int(number)
        passed += count if what == "passed" else 0
        failed += count if what == "failed" else 0
        skipped += count if what in _SKIPPED else 0
    return Counts(passed, failed, skipped)
