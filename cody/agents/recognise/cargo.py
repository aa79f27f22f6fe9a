"""cargo test: `running 3 tests` and `test result: …` for each of its programs: unit tests, integration, doc-tests.

All programs of one `cargo test` are one run, and nothing says which of them is the last: a run has ended when nothing
more comes for a while, or when cargo has built something again. A crate that does not compile has no test run.
"""

import re
from collections.abc import Iterator

from cody.agents.recognise.runner import Counts, Runner, Said, Sign

_RUNNING = re.compile(r"running \d+ tests?")
_RESULT = re.compile(
    r"test result: (?:ok|FAILED)\. (?P<passed>\d+) passed; (?P<failed>\d+) failed; (?P<ignored>\d+) ignored;"
    r" \d+ measured; \d+ filtered out(?:; finished in (?P<seconds>\d+\.\d+)s)?"
)
_BUILT = re.compile(r"Finished .+ target\(s\) in .+")


class Cargo(Runner):
    """cargo's runner. Ignored tests are skipped ones; what a filter left out is not counted."""

    command = "cargo test"
    starts = ("running ", "test result: ", "Finished ")
    hold_seconds = 5.0
    in_parts = True

    def __init__(self) -> None:
        self._total = Counts()
        self._stream = ""

    def read(self, line: str, stream: str) -> Iterator[Said]:
        """See `Runner.read`."""
        if result := _RESULT.fullmatch(line):
            seconds = result["seconds"]
            self._stream = stream
            self._total = self._total.plus(
                Counts(
                    int(result["passed"]),
                    int(result["failed"]),
                    int(result["ignored"]),
                    float(seconds) * 1000 if seconds else None,
                )
            )
            yield self._total
        elif _RUNNING.fullmatch(line):
            yield Sign.UNDER_WAY
        elif stream == self._stream and _BUILT.fullmatch(line):
            # On another stream it may be read long before or after what it stood between.
            yield Sign.OVER

    def forget(self) -> None:
        """See `Runner.forget`."""
        self._total = Counts()
        self._stream = ""
