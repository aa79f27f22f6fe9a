import os
from pathlib import Path

import pytest

from cody.agents.completion import Baseline, baseline, compile_pattern, judge
from cody.contract.payloads import CompletionVerdict
from cody.contract.requests import CompletionSpec

SPEC = CompletionSpec(log="log.md", pattern="^ALL DONE$", scan_tail_lines=5)
OLD = 1_600_000_000_000
NOT_YET = CompletionVerdict()


def found(line: str = "ALL DONE") -> CompletionVerdict:
    return CompletionVerdict(detected=True, source="pattern", line=line)


def judged(root: Path, before: str | None, after: str | None, spec: CompletionSpec = SPEC) -> CompletionVerdict:
    log = root / "log.md"
    if before is not None:
        log.write_text(before)
    since = Baseline.model_validate_json(baseline(root, spec).model_dump_json())
    if after is not None:
        log.write_text(after)
    return judge(root, spec, since, OLD)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, None, NOT_YET),
        (None, "x\nALL DONE\n", found()),
        (None, "ALL DONE", found()),
        (None, "ALL DONE\r\n", found()),
        (None, "not ALL DONE\n", NOT_YET),
        ("ALL DONE\n", None, NOT_YET),
        ("ALL DONE\n", "ALL DONE\nmore\n", NOT_YET),
        ("ALL DONE\n", "ALL DONE\nmore\nALL DONE\n", found()),
        ("ALL DONE", "ALL DONE\nmore\n", NOT_YET),
        ("ALL ", "ALL DONE\n", found()),
        ("old\nALL DONE\n", "new\nALL DONE\n", found()),
        ("long old text\nALL DONE\n", "ALL DONE\n", found()),
        ("# log\nstep 1\nstep 2\nALL DONE\n", "# log, edited\nstep 1\nstep 2\nALL DONE\n", NOT_YET),
        ("", "ALL DONE\n" + "x\n" * 4, found()),
        ("", "ALL DONE\n" + "x\n" * 5, NOT_YET),
    ],
)
def test_a_line_counts_if_it_was_written_since_the_run_began(
    tmp_path: Path, before: str | None, after: str | None, expected: CompletionVerdict
) -> None:
    assert judged(tmp_path, before, after) == expected


def test_the_newest_line_is_named_and_a_big_log_is_read_from_its_end(tmp_path: Path) -> None:
    spec = CompletionSpec(log="log.md", pattern="DONE [0-9]+", scan_tail_lines=50)
    text = "".join(f"DONE {n}\n" for n in range(200_000))
    assert judged(tmp_path, text, text + "then DONE 7, really\n", spec) == found("then DONE 7, really")


def test_what_is_not_utf_8_hinders_nobody(tmp_path: Path) -> None:
    (tmp_path / "log.md").write_bytes(b"\xff\xfe\nALL DONE\n")
    assert judge(tmp_path, SPEC, Baseline(), OLD) == found()


def test_a_log_that_leads_out_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "out.md").write_text("ALL DONE\n")
    (tmp_path / "root" / "log.md").symlink_to(tmp_path / "out.md")
    assert judge(tmp_path / "root", SPEC, Baseline(), OLD) == NOT_YET


def test_a_stop_file_counts_if_it_is_newer_than_the_run(tmp_path: Path) -> None:
    stop = tmp_path / ".stop"
    stop.touch()
    os.utime(stop, (1000, 1000))
    since = baseline(tmp_path, SPEC)
    assert judge(tmp_path, SPEC, since, OLD) == NOT_YET
    stop.touch()
    assert judge(tmp_path, SPEC, since, OLD).source == "stop_file"
    assert judge(tmp_path, SPEC, baseline(tmp_path, SPEC), OLD).source == "stop_file"


def test_the_pattern_comes_before_the_stop_file(tmp_path: Path) -> None:
    (tmp_path / ".stop").touch()
    assert judged(tmp_path, None, "ALL DONE\n") == found()


@pytest.mark.parametrize(("pattern", "part"), [("(", "missing )"), ("(?=a)", "(?="), ("a{1001}", "1001")])
def test_a_bad_pattern_is_named(pattern: str, part: str) -> None:
    with pytest.raises(ValueError, match="RE2") as error:
        compile_pattern(pattern)
    assert part in str(error.value)
