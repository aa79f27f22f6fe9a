import os
import stat

from cody.agents.model.tools.reading import SKIPPED_BYTES
from tests.integration.agents.tools.tools_stage import Tools, inside


async def test_a_file_is_read_as_it_is_and_told(tools: Tools) -> None:
    (tools.stage.root / "a").mkdir()
    (tools.stage.root / "a" / "ä b.txt").write_bytes("one\r\n\ttwo\n€".encode())
    assert await tools.done("read_file", path="./a/../a//ä b.txt") == "one\r\n\ttwo\n€"
    (read,) = tools.stage.heard.of("file_read")
    assert (read.path, read.bytes) == ("a/ä b.txt", 13)


async def test_absolute_paths_inside_are_fine(tools: Tools) -> None:
    path = str(tools.stage.root / "new" / "a.txt")
    await tools.done("write_file", path=path, content="hello")
    assert await tools.done("read_file", path=path) == "hello"
    assert [payload.path for _, payload in tools.stage.heard.events] == ["new/a.txt", "new/a.txt"]


async def test_a_part_is_read_and_the_way_on_is_said(tools: Tools) -> None:
    (tools.stage.root / "a").write_text("".join(f"{number}\n" for number in range(1, 11)))
    assert await tools.done("read_file", path="a", offset=9) == "9\n10\n"
    assert await tools.done("read_file", path="a", offset=3, limit=2) == (
        "3\n4\n[these are lines 3 to 4; the file goes on, read it with offset 5]"
    )
    assert await tools.done("read_file", path="a", limit=10) == await tools.done("read_file", path="a", offset=0)
    assert await tools.refused("read_file", path="a", offset=11) == (
        "offset 11 is beyond the end: the file has 10 lines"
    )


async def test_a_big_file_is_read_in_portions_of_whole_lines(tools: Tools) -> None:
    lines = [f"{number:04} {'€' * 100}\n" for number in range(1, 1001)]
    (tools.stage.root / "big").write_text("".join(lines))
    first, read = 1, ""
    while True:
        text = await tools.done("read_file", path="big", offset=first)
        assert len(text.encode()) < 66_000
        body, _, note = text.rpartition("[these are lines ")
        if not note.endswith("]"):
            break
        read += body
        first = int(note.split("offset ")[1].removesuffix("]"))
    assert read + text == "".join(lines)


async def test_any_line_of_a_big_file_is_found(tools: Tools) -> None:
    lines = [f"{number} {'x' * (number % 97)}\n" for number in range(1, 60_001)]
    (tools.stage.root / "big").write_text("".join(lines))
    assert (tools.stage.root / "big").stat().st_size > 3 * SKIPPED_BYTES
    at, size = [1, len(lines)], 0
    for number, line in enumerate(lines, start=1):
        if size // SKIPPED_BYTES != (size + len(line)) // SKIPPED_BYTES:
            at += [number - 1, number, number + 1, number + 2]
        size += len(line)
    for offset in at:
        text = await tools.done("read_file", path="big", offset=offset, limit=1)
        assert text.partition("[")[0] == lines[offset - 1]
    assert "the file has 60000 lines" in await tools.refused("read_file", path="big", offset=60_001)


async def test_a_line_that_is_too_long_is_cut_at_a_character(tools: Tools) -> None:
    (tools.stage.root / "long").write_text("€" * 100_000 + "\nnext\n")
    text = await tools.done("read_file", path="long")
    body, _, note = text.partition("\n")
    assert set(body) == {"€"}
    assert 65_530 < len(body.encode()) <= 65_536
    assert note == (
        "[line 1 is longer than 65536 bytes and is cut here;"
        " these are lines 1 to 1; the file goes on, read it with offset 2]"
    )
    assert await tools.done("read_file", path="long", offset=2) == "next\n"


async def test_what_is_no_text_file_is_said_to_be_none(tools: Tools) -> None:
    root = tools.stage.root
    (root / "binary").write_bytes(b"\x7fELF\0\0\1" * 3)
    (root / "latin").write_bytes(b"caf\xe9\n")
    (root / "folder").mkdir()
    os.mkfifo(root / "pipe")
    (root / "empty").touch()
    assert await tools.refused("read_file", path="binary") == (
        "binary is a binary file of 21 bytes, which cannot be read as text"
    )
    assert await tools.done("read_file", path="latin") == "caf\ufffd\n"
    assert await tools.refused("read_file", path="folder") == "folder is a directory"
    assert await tools.refused("read_file", path=".") == ". is a directory"
    assert await tools.refused("read_file", path="") == ". is a directory"
    assert await tools.refused("read_file", path="pipe") == "pipe is not a regular file"
    assert await tools.refused("read_file", path="nothing") == "nothing: No such file or directory"
    assert await tools.refused("read_file", path="latin/x") == "latin/x: Not a directory"
    assert await tools.refused("read_file", path="x" * 300) == f"{'x' * 300}: File name too long"
    assert await tools.done("read_file", path="empty") == "[the file is empty]"


async def test_a_file_is_made_with_its_folders_and_replaced_with_its_mode(tools: Tools) -> None:
    path = tools.stage.root / "a" / "b" / "run.sh"
    assert await tools.done("write_file", path="a/b/run.sh", content="ä\n") == "wrote 3 bytes to a/b/run.sh"
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    path.chmod(0o750)
    before = path.stat().st_ino
    await tools.done("write_file", path="a/b/run.sh", content="new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o750
    assert path.stat().st_ino != before  # it was replaced, so nobody ever read half of it
    assert inside(path.parent) == ["run.sh"]
    assert [(each.path, each.bytes) for each in tools.stage.heard.of("file_written")] == [
        ("a/b/run.sh", 3),
        ("a/b/run.sh", 3),
    ]


async def test_a_file_keeps_its_owner(tools: Tools) -> None:
    path = tools.stage.root / "theirs"
    path.touch()
    owner = (1234, 1234) if os.geteuid() == 0 else (os.getuid(), os.getgid())  # only root may give files away
    os.chown(path, *owner)
    await tools.done("write_file", path="theirs", content="x")
    assert (path.stat().st_uid, path.stat().st_gid) == owner


async def test_what_cannot_be_written_is_refused_and_left_alone(tools: Tools) -> None:
    root = tools.stage.root
    (root / "folder").mkdir()
    (root / "file").write_text("x")
    os.mkfifo(root / "pipe")
    assert await tools.refused("write_file", path="folder", content="") == "folder is a directory"
    assert await tools.refused("write_file", path=".", content="") == ". is a directory"
    assert await tools.refused("write_file", path="pipe", content="") == "pipe is not a regular file"
    assert await tools.refused("write_file", path="file/x", content="") == "file/x: Not a directory"
    assert await tools.refused("write_file", path="new/" + "x" * 300, content="") == (
        f"new/{'x' * 300}: File name too long"
    )
    assert inside(root) == ["file", "folder", "pipe"]
    assert tools.stage.heard.events == []


async def test_a_listing_is_sorted_as_a_whole_before_it_is_paged(tools: Tools) -> None:
    for number in range(99, -1, -1):
        (tools.stage.root / f"{number:02}").touch()
    (tools.stage.root / "05").unlink()
    (tools.stage.root / "05").mkdir()
    (tools.stage.root / "06").unlink()
    (tools.stage.root / "06").symlink_to("05")
    assert await tools.done("list_dir", path=".", limit=7) == (
        "00\n01\n02\n03\n04\n05/\n06@\n[entries 1 to 7 of 100; list the others with offset 8]"
    )
    assert await tools.done("list_dir", path="", offset=99) == "98\n99"
    assert (await tools.done("list_dir", path="/" + str(tools.stage.root))).count("\n") == 99
    assert await tools.done("list_dir", path="06") == "[the directory is empty]"
    assert await tools.refused("list_dir", path=".", offset=101) == (
        "offset 101 is beyond the end: the directory has 100 entries"
    )
    assert await tools.refused("list_dir", path="04") == "04: Not a directory"
    assert await tools.refused("list_dir", path="no") == "no: No such file or directory"


async def test_a_listing_is_bounded_and_every_name_takes_one_line(tools: Tools) -> None:
    for number in range(400):
        (tools.stage.root / f"{number:03}{'x' * 250}").touch()
    (tools.stage.root / "!a\nb\x1b[0m").touch()
    (tools.stage.root / os.fsdecode(b"!b\xff")).touch()
    text = await tools.done("list_dir", path=".")
    assert text.splitlines()[:2] == ["!a?b?[0m", "!b\ufffd"]
    assert len(text.encode()) < 66_000
    assert text.splitlines()[-1].startswith("[entries 1 to 259 of 402; list the others with offset 260]")
