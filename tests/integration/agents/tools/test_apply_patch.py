import stat

import pytest

from tests.integration.agents.tools.tools_stage import Tools, inside


async def test_a_patch_adds_updates_moves_and_deletes(tools: Tools) -> None:
    root = tools.stage.root
    (root / "a.py").write_text("def f():\n    return 1\n")
    (root / "old.sh").write_text("echo old\n")
    (root / "old.sh").chmod(0o755)
    (root / "gone").write_text("x")
    output = await tools.patch(
        "*** Add File: new/deep/n.txt",
        "+ä",
        "*** Update File: a.py",
        "@@ def f():",
        "-    return 1",
        "+    return 2",
        "*** Update File: old.sh",
        "*** Move to: bin/new.sh",
        "@@",
        "-echo old",
        "+echo new",
        "*** Delete File: gone",
    )
    assert output.success, output.text
    assert output.text.splitlines()[1:] == ["A new/deep/n.txt", "M a.py", "M old.sh -> bin/new.sh", "D gone"]
    assert (root / "new" / "deep" / "n.txt").read_text() == "ä\n"
    assert (root / "a.py").read_text() == "def f():\n    return 2\n"
    assert (root / "bin" / "new.sh").read_text() == "echo new\n"
    assert stat.S_IMODE((root / "bin" / "new.sh").stat().st_mode) == 0o755
    assert inside(root) == ["a.py", "bin", "new"]
    told = [(type_, payload.path, payload.bytes) for type_, payload in tools.stage.heard.events]
    assert sorted(told[:3]) == [
        ("file_written", "a.py", 22), ("file_written", "bin/new.sh", 9), ("file_written", "new/deep/n.txt", 3),
    ]  # fmt: skip
    assert sorted(told[3:]) == [("file_deleted", "gone", None), ("file_deleted", "old.sh", None)]


async def test_bytes_that_are_not_utf8_and_line_ends_stay_as_they_are(tools: Tools) -> None:
    path = tools.stage.root / "latin"
    path.write_bytes(b"caf\xe9\r\nold\r\nend \xff\0")
    assert (await tools.patch("*** Update File: latin", "-old", "+n\u00e9w")).success
    assert path.read_bytes() == b"caf\xe9\r\nn\xc3\xa9w\r\nend \xff\0"


async def test_later_changes_see_what_earlier_ones_made(tools: Tools) -> None:
    root = tools.stage.root
    (root / "a").write_text("1\n2\n")
    output = await tools.patch(
        "*** Update File: a", "-1", "+one",
        "*** Update File: a", "-2", "+two",
        "*** Delete File: a",
        "*** Add File: a", "+new",
        "*** Update File: a", "*** Move to: b",
        "*** Add File: c", "+c",
        "*** Delete File: c",
    )  # fmt: skip
    assert output.success, output.text
    assert inside(root) == ["b"]
    assert (root / "b").read_text() == "new\n"
    assert tools.stage.heard.types() == ["file_written", "file_deleted"]


async def test_a_file_that_is_there_gives_way_to_one_that_is_added_or_moved_there(tools: Tools) -> None:
    root = tools.stage.root
    for name in "abc":
        (root / name).write_text(f"{name}\n")
    output = await tools.patch("*** Add File: a", "+new", "*** Update File: b", "*** Move to: c", "@@", "-b", "+moved")
    assert output.success, output.text
    assert [(name, (root / name).read_text()) for name in inside(root)] == [("a", "new\n"), ("c", "moved\n")]


@pytest.mark.parametrize(
    ("last", "told"),
    [
        (["*** Update File: b", "-nowhere", "+x"], "does not fit b"),
        (["*** Update File: nothing", "-x"], "nothing does not exist"),
        (["*** Delete File: nothing"], "nothing does not exist"),
        (["*** Delete File: folder"], "folder is a directory"),
        (["*** Add File: folder", "+x"], "folder is a directory"),
        (["*** Add File: b/c", "+x"], "b/c: Not a directory"),
        (["*** Add File: " + "x" * 300, "+x"], "File name too long"),
        (["*** Add File: n/" + "x" * 250 + "/" + "y" * 300, "+x"], "File name too long"),
        # These two only fail when others are in their places already.
        (["*** Add File: deep", "+x", "*** Add File: deep/x", "+x"], "deep: Is a directory"),
        (["*** Add File: new/made", "+x", "*** Add File: new/made/x", "+x"], "new/made: Is a directory"),
        (["garbage"], "line 12 of the patch"),
    ],
)
async def test_what_fails_at_the_end_leaves_nothing_changed(tools: Tools, last: list[str], told: str) -> None:
    root = tools.stage.root
    (root / "folder").mkdir()
    (root / "a").write_text("a\n")
    (root / "b").write_text("b\n")
    (root / "c").write_text("c\n")
    (root / "c").chmod(0o640)
    before = [(each.name, each.stat().st_mode) for each in sorted(root.iterdir())]
    output = await tools.patch(
        "*** Add File: first", "+x",
        "*** Add File: new/x", "+x",
        "*** Update File: a", "-a", "+changed",
        "*** Delete File: c",
        "*** Update File: b", " b",
        *last,
    )  # fmt: skip
    assert not output.success
    assert told in output.text
    assert [(each.name, each.stat().st_mode) for each in sorted(root.iterdir())] == before
    assert [(root / name).read_text() for name in "abc"] == ["a\n", "b\n", "c\n"]
    assert tools.stage.heard.events == []


async def test_no_trace_of_the_work_is_left(tools: Tools) -> None:
    (tools.stage.root / "a").write_text("a\n")
    assert (await tools.patch("*** Delete File: a", "*** Add File: b", "+b")).success
    assert inside(tools.stage.root) == ["b"]
