"""pytest 6 to 9: a header, unless it is quiet, and a last line with all counts."""

import re
from collections.abc import Iterator

from cody.agents.recognise.runner import Counts, Runner, Said, Sign

_HEADER = re.compile(r"=+ test session starts =+")
_COUNTED = (
    r"\d+ (?:passed|failed|errors?|skipped|deselected|xfailed|xpassed|warnings?|reruns?"
    r"|subtests passed|subtests failed|tests? collected)"
)
_SUMMARY = re.compile(
    rf"(?P<bar>=+ )?(?P<counts>{_COUNTED}(?:, {_COUNTED})*|no tests (?:ran|collected)(?: \(\d+ deselected\))?)"
    r" in (?P<seconds>\d+\.\d\d)s(?: \(\d+(?: days?, \d+)?:\d\d:\d\d\))?(?(bar) =+)"
)
_COUNT = re.compile(r"(\d+) ([a-z ]+)")
_FAILED = frozenset({"failed", "error", "errors"})
_PASSED = frozenset({"passed", "xpassed"})
_SKIPPED = frozenset({"skipped", "xfailed"})


class Pytest(Runner):
    """pytest. An error counts as a failure, an expected failure as a skipped test."""

    command = "pytest"
    starts = ("=", "no tests ", *"0123456789")

    def read(self, line: str, stream: str) -> Iterator[Said]:
        """See `Runner.read`."""
        if _HEADER.fullmatch(line):
            yield Sign.HEADER
        elif summary := _SUMMARY.fullmatch(line):
            yield _counts(summary)


def _counts(summary: "re.Match[str]") -> Counts:
    passed = failed = skipped = 0
    for number, what in _COUNT.findall(summary["counts"]):
        count = int(number)
        passed += count if what in _PASSED else 0
        failed += count if what in _FAILED else 0
        skipped += count if what in _SKIPPED else 0
    return Counts(passed, failed, skipped, float(summary["seconds"]) * 1000)
