import difflib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cody.agents.model.tools.patch.editing import edited
from cody.agents.model.tools.patch.grammar import Update, parse
from cody.agents.model.tools.tool import Refusal

WORDS = st.sampled_from(["", " ", "a", "b", "  a", "-a", "+b", "@@", "ä€😀", "*** x"])
NUMBERS = st.sets(st.integers(0, 60), max_size=50)


def edit(text: str, *body: str) -> str:
    (change,) = parse("\n".join(["*** Begin Patch", "*** Update File: f", *body, "*** End Patch"]))
    assert isinstance(change, Update)
    return edited(text, change.hunks, "f")


def diff(old: list[str], new: list[str], context: int) -> list[str]:
    """The hunks of a patch from one list of lines to another."""
    lines = list(difflib.unified_diff(old, new, lineterm="", n=context))[2:]
    return ["@@" if re.fullmatch(r"@@ -\d+(,\d+)? \+\d+(,\d+)? @@", line) else line for line in lines]


def joined(lines: list[str], end: str = "\n") -> str:
    return "".join(line + end for line in lines)


@given(NUMBERS.filter(bool), NUMBERS, st.integers(1, 3), st.sampled_from(["\n", "\r\n"]))
def test_any_edit_of_lines_that_differ_gives_the_new_text(old: set[int], new: set[int], context: int, end: str) -> None:
    before, after = ([f"line {number}" for number in sorted(numbers)] for numbers in (old, new))
    hunks = diff(before, after, context)
    if not hunks:
        return
    assert edit(joined(before, end), *hunks) == joined(after, end)


@given(st.lists(WORDS, max_size=15), st.lists(WORDS, max_size=15))
def test_a_hunk_of_the_whole_file_gives_the_new_text_whatever_is_in_it(old: list[str], new: list[str]) -> None:
    hunks = diff(old, new, len(old))
    if not hunks:
        return
    assert edit(joined(old), *hunks) == joined(new)


@given(st.lists(WORDS, min_size=1, max_size=10), st.lists(WORDS, min_size=1, max_size=10))
def test_a_last_line_without_an_end_stays_so_exactly_if_it_is_kept(old: list[str], new: list[str]) -> None:
    if not old[-1]:
        return
    hunks = diff(old, new, len(old))
    if not hunks:
        return
    kept = hunks[-1].startswith(" ")
    assert edit(joined(old)[:-1], *hunks) == (joined(new)[:-1] if kept else joined(new))


def test_a_hunk_is_found_behind_the_lines_that_are_named() -> None:
    text = "class A:\n    def f():\n        pass\nclass B:\n    def e():\n        pass\n    def f():\n        pass\n"
    changed = edit(text, "@@ class B:", "@@     def f():", "-        pass", "+        return 1")
    assert changed == text[: -len("        pass\n")] + "        return 1\n"


def test_the_named_line_may_be_repeated_in_the_hunk() -> None:
    assert edit("a\nx\nb\nx\n", "@@ b", " b", "-x", "+y") == "a\nx\nb\ny\n"


def test_lines_that_are_only_added_come_after_the_named_line_or_at_the_end() -> None:
    assert edit("a\nb\n", "@@ a", "+x", "+y") == "a\nx\ny\nb\n"
    assert edit("a\nb\n", "@@", "+x") == "a\nb\nx\n"
    assert edit("", "+x") == "x\n"
    assert edit("a", "+x", "", "") == "a\nx\n"
    # The end is the file's, whatever hunks follow.
    assert edit("1\n2\n3\n", "@@", "+after", "+all", "@@", " 1", "-2", "-3", "+two") == "1\ntwo\nafter\nall\n"


def test_a_hunk_at_the_end_of_the_file_is_looked_for_there() -> None:
    assert edit("x\ny\nx\n", "-x", "+z", "*** End of File") == "x\ny\nz\n"
    with pytest.raises(Refusal, match="not at the end of the file but at line 1"):
        edit("x\ny\n", "-x", "+z", "*** End of File")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("x = 1 \t\n", "x = 1"),
        ("    x = 1\n", "x = 1"),
        ("say(\u201chello \u2013 world\u201d)\n", 'say("hello - world")'),
        ("\ufeffx = 1\n", "x = 1"),
        ("x\u00a0= 1\n", "x = 1"),
    ],
)
def test_kept_lines_match_leniently_and_stay_as_they_are(text: str, line: str) -> None:
    assert edit(f"{text}old\n", f" {line}", "-old", "+new") == f"{text}new\n"


def test_an_exact_match_further_down_beats_a_lenient_one() -> None:
    assert edit("  x\nx\n", "-x", "+y") == "  x\ny\n"


def test_empty_lines_after_a_hunk_may_be_kept_lines_or_air() -> None:
    assert edit("a\nx\n\na\n", "-x", "+y", "") == "a\ny\n\na\n"
    assert edit("a\nx\nb\n", "-x", "+y", "", "@@", "-b", "+c", "") == "a\ny\nc\n"
    assert edit("\na\nb\n", "@@ a", "+new", "") == "\na\nnew\nb\n"


@pytest.mark.parametrize(
    ("hunks", "told"),
    [
        (["-b", "+x", "@@", "-a", "+y"], "its lines are at line 1, before line 3"),
        (["@@ nowhere", "-b", "+x"], "the line of its `@@` is not there; it looked for:\nnowhere"),
        ([" a", "-c", "+x"], "line 2 of the file is 'b' where the patch has 'c'; it looked for:\na\nc"),
        ([" b", " c", "-d", "+x"], "the file ends after line 3 where the patch has 'd'"),
        (["-nowhere"], "these lines are not there; it looked for:\nnowhere"),
    ],
)
def test_a_hunk_that_does_not_fit_is_explained(hunks: list[str], told: str) -> None:
    with pytest.raises(Refusal) as refused:
        edit("a\nb\nc\n", *hunks)
    assert told in str(refused.value)
    assert "does not fit f" in str(refused.value)
