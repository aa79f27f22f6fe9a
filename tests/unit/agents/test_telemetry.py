import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody.agents import telemetry
from cody.agents.reports import Report, understand
from cody.agents.telemetry import Splitter

ROOT = Path("/srv/project")
GOOD = b'{"__cody_event__": {"type": "file_read", "path": "a"}}'


def split(chunks: list[bytes]) -> tuple[bytes, list[tuple[int, Report]]]:
    """The text, and each report with the place in the text where it stood."""
    splitter = Splitter(ROOT)
    text, reports = b"", []
    pieces = [piece for chunk in chunks for piece in splitter.feed(chunk)] + splitter.finish()
    for piece in pieces:
        if isinstance(piece, bytes):
            text += piece
        else:
            reports.append((len(text), piece))
    return text, reports


LINES = st.lists(
    st.sampled_from(
        [
            b"\n", b"text", b"{", b"}", b'{"', b'{"__cody', b' {"__cody_event__": 1}', GOOD, GOOD + b"\n", b"\r\n",
            b'{ "__cody_event__" : {"type":"warning"}}\n', b'{"__cody_event__"', b'{"__cody_event_"', b"\xff\xc3\xa4",
            b"{" + b" " * 40, b'{"a": 1}\n', b"x\n{", b'"__cody_event__"',
        ]
    ),
    max_size=12,
).map(b"".join)  # fmt: skip


@given(LINES, st.lists(st.integers(0, 400), max_size=20))
def test_any_cut_gives_the_same_text_and_reports(stream: bytes, cuts: list[int]) -> None:
    places = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    chunks = [stream[at:to] for at, to in pairwise(places)]
    assert split(chunks) == split([stream])
    assert split([bytes([byte]) for byte in stream]) == split([stream])


@given(LINES)
def test_a_line_is_either_text_or_a_report(stream: bytes) -> None:
    text, reports = split([stream])
    looks = [
        line for line in stream.split(b"\n")
        if re.match(rb'\{[ \t]{0,%d}"__cody_event__"' % telemetry.MAX_BLANKS, line)
    ]  # fmt: skip
    assert len(reports) == len(looks)
    rest = [line for line in stream.split(b"\n") if line not in looks]
    assert text.replace(b"\n", b"") == b"".join(rest)


@pytest.mark.parametrize("chunk", [b"Password? ", b'{"a"', b"{x", b"a{", b'{"__cody_eventual', b"   {"])
def test_ordinary_text_leaves_at_once(chunk: bytes) -> None:
    assert b"".join(piece for piece in Splitter(ROOT).feed(chunk) if isinstance(piece, bytes)) == chunk


@pytest.mark.parametrize("chunk", [b"{", b'{"__cody_event__', b'{ "__co', GOOD])
def test_what_may_be_telemetry_is_held(chunk: bytes) -> None:
    assert Splitter(ROOT).feed(chunk) == []


def test_a_line_over_the_bound_is_text_and_a_warning() -> None:
    line = b'{"__cody_event__": "' + b"x" * telemetry.MAX_LINE + b'"}\n'
    for size in (1000, 70_000, len(line)):
        text, reports = split([line[at : at + size] for at in range(0, len(line), size)])
        assert text == line
        assert [report.type for _, report in reports] == ["warning"]


def said(body: object) -> Report:
    return understand(json.dumps({"__cody_event__": body}).encode(), (ROOT,))


@pytest.mark.parametrize(
    ("body", "payload"),
    [
        ({"type": "file_written", "path": "a.py", "bytes": 3}, {"path": "a.py", "bytes": 3}),
        ({"type": "fileWritten", "payload": {"path": "a.py"}}, {"path": "a.py"}),
        ({"type": "file_read", "path": "/srv/project/x/./y"}, {"path": "x/y"}),
        ({"type": "file_deleted", "path": "./x/../y"}, {"path": "y"}),
        (
            {"type": "token_usage", "promptTokens": 3, "completionTokens": 4},
            {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
        ),
        (
            {"type": "token_usage", "input_tokens": 3, "outputTokens": 4, "totalTokens": 9},
            {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 9},
        ),
        (
            {"type": "log_updated", "kind": "log", "path": "l", "delta": {"addedBytes": 1, "addedLines": 2}},
            {"kind": "log", "path": "l", "delta": {"added_bytes": 1, "added_lines": 2, "tail": ()}},
        ),
        (
            {"type": "test_run_completed", "command": "pytest", "passed": 1, "durationMs": 20},
            {"command": "pytest", "passed": 1, "failed": 0, "skipped": 0, "duration_ms": 20},
        ),
        ({"type": "test_run_started", "command": "make", "more": 1}, {"command": "make"}),
        ({"type": "completion_detected"}, {"source": "agent"}),
        ({"type": "warning", "code": "c", "message": "m"}, {"code": "c", "message": "m"}),
    ],
)
def test_valid_telemetry_is_understood(body: dict[str, object], payload: dict[str, object]) -> None:
    report = said(body)
    assert report.payload.model_dump() == payload
    assert report.type == json.loads(json.dumps(body))["type"].replace("fileWritten", "file_written")


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ("file_read", "must be an object"),
        ({"type": "run_completed", "reason": "completion"}, "unknown telemetry type 'run_completed'"),
        ({"type": ["x"]}, "unknown telemetry type"),
        ({"type": "file_written"}, "path"),
        ({"type": "file_written", "path": "a", "bytes": -1}, "bytes"),
        ({"type": "file_written", "path": "/etc/passwd"}, "working directory"),
        ({"type": "file_written", "path": "../x"}, "outside"),
        ({"type": "file_written", "path": "a\0b"}, "NUL"),
        ({"type": "file_written", "path": "a\ud800"}, "hex escape"),
        ({"type": "file_written", "path": "a", "bytes": 2**60}, "larger"),
        ({"type": "token_usage"}, "input_tokens"),
        ({"type": "token_usage", "prompt_tokens": "many"}, "prompt_tokens"),
        ({"type": "log_updated", "path": "l"}, "delta"),
    ],
)
def test_invalid_telemetry_is_a_warning_that_helps(body: object, part: str) -> None:
    report = said(body)
    assert report.type == "warning"
    assert report.payload.code == "invalid_telemetry"
    assert part in report.payload.message
    report.payload.model_dump_json()


@pytest.mark.parametrize("line", [b'{"__cody_event__"', b'{"__cody_event__": \xff}', b"{" * 100_000, b"[" * 100_000])
def test_what_is_no_json_is_a_warning(line: bytes) -> None:
    assert understand(line, (ROOT,)).type == "warning"
