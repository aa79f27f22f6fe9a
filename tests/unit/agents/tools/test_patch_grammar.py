import pytest

from cody.agents.model.tools.patch.grammar import Add, Change, Delete, Hunk, Update, parse
from cody.agents.model.tools.tool import Refusal


def patch(*lines: str) -> list[Change]:
    return parse("\n".join(["*** Begin Patch", *lines, "*** End Patch"]))


def test_every_kind_of_change_is_understood() -> None:
    changes = patch(
        "*** Add File: new.txt",
        "+one",
        "+",
        "+ two",
        "*** Delete File: old.txt",
        "*** Update File: a.py",
        "*** Move to: b/a.py",
        "@@ class A:",
        "@@     def f(self):",
        "         kept",
        "-        removed",
        "+        added",
        "@@",
        "+last",
        "*** End of File",
    )
    assert changes == [
        Add("new.txt", "one\n\n two\n"),
        Delete("old.txt"),
        Update(
            "a.py",
            "b/a.py",
            (
                Hunk(
                    9,
                    ("class A:", "    def f(self):"),
                    ((" ", "        kept"), ("-", "        removed"), ("+", "        added")),
                    at_end=False,
                ),
                Hunk(14, (), (("+", "last"),), at_end=True),
            ),
        ),
    ]


def test_a_file_may_be_added_empty_and_moved_unchanged() -> None:
    assert patch("*** Add File: empty", "*** Update File: a", "*** Move to: b") == [
        Add("empty", ""),
        Update("a", "b", ()),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "\n *** Begin Patch\n*** Delete File: a\n *** End Patch \n\n",
        "<<'EOF'\n*** Begin Patch\n*** Delete File: a\n*** End Patch\nEOF",
        "apply_patch <<EOF\n*** Begin Patch\n*** Delete File: a\n*** End Patch\nEOF\n",
        "*** Begin Patch\r\n*** Delete File: a\r\n*** End Patch\r\n",
        "*** Begin Patch\n\n*** Delete File:   a  \n\n*** End Patch",
    ],
)
def test_what_models_write_around_a_patch_is_accepted(text: str) -> None:
    assert parse(text) == [Delete("a")]


def test_air_between_hunks_and_the_numbers_of_a_unified_diff_mean_nothing() -> None:
    (change,) = patch("*** Update File: a", "", "@@ -1,2 +1,2 @@ def f():", "-x", "+y", "", "@@", "-z", "")
    assert isinstance(change, Update)
    first, second = change.hunks
    assert (first.contexts, first.loose, second.loose) == ((), 1, 1)
    assert first.lines == (("-", "x"), ("+", "y"), (" ", ""))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "begins with"),
        ("*** Begin Patch", "ends with"),
        ("*** Begin Patch\n*** Delete File: a", "ends with"),
        ("*** Begin Patch\n*** End Patch", "changes no file"),
        ("*** Begin Patch\n*** End Patch\n*** Delete File: a\n*** End Patch", "last line"),
        ("*** Begin Patch\nhello\n*** End Patch", "line 2 of the patch, 'hello'"),
        ("*** Begin Patch\n*** Delete File:\n*** End Patch", "needs a path"),
        ("*** Begin Patch\n*** Add File: a\n+a\nb\n*** End Patch", "line 4 of the patch, 'b'"),
        ("*** Begin Patch\n*** Update File: a\n*** End Patch", "no hunk"),
        ("*** Begin Patch\n*** Update File: a\n@@\n*** End Patch", "expected lines"),
        ("*** Begin Patch\n*** Update File: a\n@@ x\n\n\n*** End Patch", "expected lines"),
        ("*** Begin Patch\n*** Update File: a\n-a\nb\n*** End Patch", "line 4 of the patch, 'b'"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, told: str) -> None:
    with pytest.raises(Refusal, match=told.replace("*", r"\*")):
        parse(text)
