"""Whether the goal is met: a line of the log that matches, or a stop file, of what was written since the run began."""

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

from cody.agents.confined import EDGE, mark_of, open_inside, tail_of
from cody.agents.patterns import Pattern
from cody.contract.base import Model
from cody.contract.payloads import CompletionVerdict
from cody.contract.requests import CompletionSpec

MAX_SCAN = 8 * 1024 * 1024
MAX_SHOWN = 2000
CONTEXT_LINES = 3
MAX_STALE = 200


class Baseline(Model):
    """How things stood when the run began; small and serialisable, it travels with the run.

    `log_mark` is a hash of the log's edges: while they are in their place the log has only grown. `stale` knows the
    lines that matched already, each with the lines before it, for a log that is edited in its middle or rewritten.
    """

    log_size: int = 0
    log_mark: str = ""
    stale: tuple[str, ...] = ()
    stop_mtime_ns: int | None = None


def compile_pattern(text: str) -> Pattern:
    """The pattern, searched in each line. Raises ValueError that says what is wrong with it."""
    return Pattern(text)


def baseline(root: Path, spec: CompletionSpec) -> Baseline:
    """How the log and the stop file stand now, when the run begins. Blocking; reads a bounded amount."""
    stop = _mtime_ns(root / spec.stop_file)
    file = _open(root, spec.log)
    if file is None:
        return Baseline(stop_mtime_ns=stop)
    with file:
        size = os.fstat(file.fileno()).st_size
        stale = _matches(file, 0, size, spec) if spec.pattern is not None else []
        return Baseline(
            log_size=size,
            log_mark=mark_of(file, size),
            stale=tuple(known for _, known in stale[-MAX_STALE:]),
            stop_mtime_ns=stop,
        )


def judge(root: Path, spec: CompletionSpec, since: Baseline, started_at_ms: int) -> CompletionVerdict:
    """Whether the goal is met. Blocking; reads a bounded amount. Raises ValueError for a bad pattern.

    A log that is missing, unreadable or outside of `root` says nothing. The pattern comes before the stop file.
    """
    line = _line(root, spec, since)
    if line is not None:
        return CompletionVerdict(detected=True, source="pattern", line=line[:MAX_SHOWN])
    stop = _mtime_ns(root / spec.stop_file)
    # Newer than the start, or not what stood there then: a file system's clock may tick as slowly as every 2 seconds.
    if stop is not None and (stop // 1_000_000 >= started_at_ms or stop != since.stop_mtime_ns):
        return CompletionVerdict(detected=True, source="stop_file")
    return CompletionVerdict()


def _line(root: Path, spec: CompletionSpec, since: Baseline) -> str | None:
    """The newest line that matches and was written since."""
    file = _open(root, spec.log) if spec.pattern is not None else None
    if file is None:
        return None
    with file:
        size = os.fstat(file.fileno()).st_size
        if size >= since.log_size and mark_of(file, since.log_size) == since.log_mark:
            fresh = _matches(file, _next_line(file, since.log_size), size, spec)
        else:
            stale = set(since.stale)
            fresh = [(line, known) for line, known in _matches(file, 0, size, spec) if known not in stale]
        return fresh[-1][0] if fresh else None


def _matches(file: BinaryIO, start: int, end: int, spec: CompletionSpec) -> list[tuple[str, str]]:
    """The lines that match among the last `scan_tail_lines`, each with a hash of itself and the lines before it."""
    pattern = compile_pattern(spec.pattern or "")
    lines = tail_of(file, start, end, spec.scan_tail_lines + CONTEXT_LINES, MAX_SCAN)
    found: list[tuple[str, str]] = []
    for index in range(max(0, len(lines) - spec.scan_tail_lines), len(lines)):
        if pattern.search(lines[index]):
            context = "\n".join(lines[max(0, index - CONTEXT_LINES + 1) : index + 1])
            found.append((lines[index], hashlib.sha256(context.encode()).hexdigest()[:16]))
    return found


def _next_line(file: BinaryIO, size: int) -> int:
    """Where the lines begin that were written after the first `size` bytes; a line that went on is one of them."""
    if size == 0:
        return 0
    begin = max(0, size - EDGE)
    file.seek(begin)
    edge = file.read(size - begin + 1)
    before, after = edge[: size - begin], edge[size - begin :]
    if before.endswith(b"\n") or after in (b"", b"\n", b"\r"):
        return size
    return begin + before.rfind(b"\n") + 1


def _open(root: Path, log: str | None) -> BinaryIO | None:
    try:
        return open_inside(root, log) if log else None
    except (OSError, RuntimeError):  # RuntimeError: a loop of symlinks, until Python 3.13
        return None


def _mtime_ns(path: Path) -> int | None:
    try:
        return path.lstat().st_mtime_ns
    except OSError:
        return None
