"""Seconds of one comparison of a working directory of 50,000 files, against a bare walk that asks for their states."""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.figure import Figure
from benchmarks.stage import Stage
from cody.agents.patterns import Globs
from cody.agents.scan import Scanner

DIRECTORIES, FILES = 500, 100


def measure(stage: Stage) -> list[Figure]:
    """The scan that a watch repeats, with the globs that a run has unless told, when nothing has changed."""
    with tempfile.TemporaryDirectory(prefix="cody-scan-") as place:
        root = Path(place)
        _fill(root)
        scanner = Scanner(root, Globs(["**/*"]), Globs([".git/**"]))
        known = scanner.scan({}).files
        if len(known) != DIRECTORIES * FILES:
            raise RuntimeError(f"the scan found {len(known)} files of {DIRECTORIES * FILES}")
        rounds = [(_seconds(lambda: scanner.scan(known)), _seconds(lambda: _walk(place))) for _ in range(stage.rounds)]
    what = f"one comparison of {DIRECTORIES * FILES:,} files in {DIRECTORIES} directories; baseline: a bare os.scandir"
    return [Figure("scan", what, "s", rounds, limit=1.0)]


def _fill(root: Path) -> None:
    for directory in range(DIRECTORIES):
        folder = root / f"package_{directory}"
        folder.mkdir()
        for number in range(FILES):
            (folder / f"module_{number}.py").touch()


def _walk(place: str) -> None:
    for folder in os.scandir(place):
        for entry in os.scandir(folder):
            entry.stat(follow_symlinks=False)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
