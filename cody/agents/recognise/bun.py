"""bun test 1: a header, a line for each test, the counts on a line each, and `Ran 3 tests across 1 file. [5.00ms]`.

The header is on stdout and the rest on stderr. A run that stopped at a failure (`--bail`) prints no counts: its tests
are counted by their lines.
"""

import re
from collections.abc import Iterator

from cody.agents.recognise.runner import Counts, Runner, Said, Sign

_HEADER = re.compile(r"bun test v\d+\.\d+\.\d+\S*(?: \([0-9a-f]+\))?")
_TEST = re.compile(r"(?:\((?P<word>pass|fail|skip|todo)\)|(?P<mark>[✓✗»✎]))\s+\S.*")
_COUNT = re.compile(r"(?P<number>\d+) (?P<what>pass|fail|skip|todo|errors?)")
_RAN = re.compile(r"Ran \d+ tests? across \d+ files?\. \[(?P<time>\d+(?:\.\d+)?)(?P<unit>m?s)\]")
_NO_TEST = re.compile(
    r"error: regex .+ matched 0 tests\. Searched \d+ files? \(skipping (?P<skipped>\d+) tests?\)"
    r" \[(?P<time>\d+(?:\.\d+)?)(?P<unit>m?s)\]"
)
_NO_FILE = frozenset({"No tests found!", "The following filters did not match any test files:"})
_MARKS = {"✓": "pass", "✗": "fail", "»": "skip", "✎": "todo"}


class Bun(Runner):
    """bun's runner."""

    command = "bun test"
    starts = ("bun test v", "(", *_MARKS, *"0123456789", "Ran ", "error: regex ", *_NO_FILE)
    on_two_streams = True

    def __init__(self) -> None:
        self._tests: list[str] = []
        self._marks: list[str] = []
        self._printed: dict[str, int] = {}

    def read(self, line: str, stream: str) -> Iterator[Said]:
        """See `Runner.read`."""
        if _HEADER.fullmatch(line):
            self._marks = []  # those before it are another runner's, as jest's and vitest's are the same
            yield Sign.HEADER
        elif count := _COUNT.fullmatch(line):
            what = "error" if count["what"] == "errors" else count["what"]
            self._printed[what] = int(count["number"])
        elif test := _TEST.fullmatch(line):
            if test["word"]:
                self._tests.append(test["word"])
                yield Sign.UNDER_WAY
            else:
                self._marks.append(_MARKS[test["mark"]])
        elif ran := _RAN.fullmatch(line):
            yield self._counts()._replace(milliseconds=_milliseconds(ran))
            self._tests, self._marks, self._printed = [], [], {}
        elif none := _NO_TEST.fullmatch(line):
            yield Counts(skipped=int(none["skipped"]), milliseconds=_milliseconds(none))
        elif line in _NO_FILE:
            yield Counts()

    def _counts(self) -> Counts:
        tests = self._tests or self._marks
        counted = self._printed or {what: tests.count(what) for what in set(tests)}
        return Counts(
            passed=counted.get("pass", 0),
            failed=counted.get("fail", 0) or counted.get("error", 0),
            skipped=counted.get("skip", 0) + counted.get("todo", 0),
        )


def _milliseconds(line: "re.Match[str]") -> float:
    return float(line["time"]) * (1 if line["unit"] == "ms" else 1000)
