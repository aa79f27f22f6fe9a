"""go test: a line for each package, after the lines of its tests if they are asked for (`-v`), or all of it as JSON.

What is counted: where a package's tests are told (`-v`, `-json`), its tests, subtests too, and one failure for a
package that failed without a failing test (it did not build, it panicked outside of a test). Where they are not told,
the package itself: one that is `ok` is one passed, one that is `FAIL` one failed. A package without tests is none.

The packages of one `go test` are one run. After a failure a line `FAIL` ends it; else it has ended when nothing more
comes for a while, or when a package comes again. The time is the sum of the packages' times; cached results have none.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, cast

from cody.agents.recognise.runner import Counts, Runner, Said, Sign

_RUN = re.compile(r"=== RUN\s+\S+")
_TEST = re.compile(r"--- (?P<how>PASS|FAIL|SKIP): \S.* \(\d+\.\d+s\)")
_PACKAGE = re.compile(
    r"(?:(?P<ok>ok)\s{2,}|FAIL\s+)(?P<name>\S+)(?:\s+(?:(?P<seconds>\d+\.\d+)s|\(cached\))"
    r"(?P<more>\s+coverage: .+?)?(?P<none>\s+\[no tests to run\])?|\s+\[(?:build|setup) failed\])"
)
_NO_TESTS = re.compile(r"\?\s{2,}\S+\s+\[no test files\]")
_JSON = ('{"Time":"', '{"Action":"')
_HOW = {"PASS": "pass", "FAIL": "fail", "SKIP": "skip"}
_ENDS = {"pass": Counts(passed=1), "fail": Counts(failed=1), "skip": Counts(skipped=1)}


class Go(Runner):
    """Go's runner."""

    command = "go test"
    starts = ("=== RUN", "--- ", "ok", "FAIL", "?", *_JSON)
    hold_seconds = 10.0
    in_parts = True

    def __init__(self) -> None:
        self._total = Counts()
        self._packages: set[str] = set()
        self._failed = False
        self._tests: dict[str, Counts] = {}
        """The tests of packages that have not ended; without JSON there is one, whose name comes last."""
        self._told = False
        """Whether the package tells of its tests, not only of those that failed."""

    def read(self, line: str, stream: str) -> Iterator[Said]:
        """See `Runner.read`."""
        if line.startswith("{"):
            yield from self._json(line)
        elif _RUN.fullmatch(line):
            self._told = True
            yield Sign.UNDER_WAY
        elif test := _TEST.fullmatch(line):
            self._told |= test["how"] != "FAIL"
            self._count("", _HOW[test["how"]])
            yield Sign.UNDER_WAY
        elif package := _PACKAGE.fullmatch(line):
            yield from self._ended(package)
        elif _NO_TESTS.fullmatch(line):
            yield self._total
        elif line == "FAIL" and self._failed and not self._tests:
            yield Sign.OVER

    def forget(self) -> None:
        """See `Runner.forget`."""
        self._total = Counts()
        self._packages = set()
        self._failed = False
        self._tests = {}
        self._told = False

    def _count(self, package: str, how: str) -> None:
        self._tests[package] = self._tests.get(package, Counts()).plus(_ENDS[how])

    def _ended(self, package: "re.Match[str]") -> Iterator[Said]:
        tests = self._tests.pop("", Counts()) if self._told else None
        self._tests.pop("", None)
        self._told = False
        if tests is None:
            tests = Counts() if package["none"] else _ENDS["pass" if package["ok"] else "fail"]
        seconds = package["seconds"]
        yield from self._add(package["name"], tests, bool(package["ok"]), float(seconds) if seconds else None)

    def _add(self, name: str, tests: Counts, ok: bool, seconds: float | None) -> Iterator[Said]:
        if name in self._packages:
            yield Sign.OVER
        self._packages.add(name)
        if not ok:
            self._failed = True
            tests = tests._replace(failed=tests.failed or 1)
        self._total = self._total.plus(tests._replace(milliseconds=None if seconds is None else seconds * 1000))
        yield self._total

    def _json(self, line: str) -> Iterator[Said]:
        try:
            said: Any = json.loads(line)
        except ValueError:
            return
        event = cast("dict[str, Any]", said) if isinstance(said, dict) else {}
        action, name, test = event.get("Action"), event.get("Package"), event.get("Test")
        if not isinstance(name, str):
            return
        if action in ("start", "run"):
            yield Sign.UNDER_WAY
        elif action in _ENDS and test:
            self._count(name, cast("str", action))
        elif action in _ENDS:
            seconds = event.get("Elapsed")
            seconds = float(seconds) if isinstance(seconds, int | float) else None
            yield from self._add(name, self._tests.pop(name, Counts()), action != "fail", seconds)
