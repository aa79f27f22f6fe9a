import contextlib
import ctypes
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cody.agents.model.tools.folder import Folder
from cody.agents.model.tools.tool import Refusal
from tests.integration.agents.tools.tools_stage import Tools, inside, toolbox

OUT = "leads out of the working directory"


@pytest.fixture
def outside(tools: Tools) -> Path:
    """A directory beside the working directory, whose name begins with the working directory's."""
    root = tools.stage.root = tools.stage.root / "here"
    root.mkdir()
    tools.box = toolbox(tools.stage)
    outside = root.with_name(root.name + "-outside")
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (root / "inside").mkdir()
    (root / "inside" / "file").write_text("fine")
    (root / "link").symlink_to(outside)
    (root / "file-link").symlink_to(outside / "secret")
    (root / "dangling").symlink_to(outside / "new")
    (root / "up").symlink_to("..")
    (root / "hop").symlink_to("link")
    (root / "inner").symlink_to(root / "inside")
    (root / "inner-file").symlink_to("inside/file")
    (root / "loop").symlink_to("loop")
    return outside


def exchange(one: Path, other: Path) -> None:
    """Two names change places at once (renameat2(2), RENAME_EXCHANGE)."""
    here = -100
    failed = ctypes.CDLL(None, use_errno=True).renameat2(here, bytes(one), here, bytes(other), 2)
    assert not failed, ctypes.get_errno()


def paths(outside: Path) -> list[str]:
    name = outside.name
    return [
        f"../{name}/secret",
        f"inside/../../{name}/secret",
        f"nothing/../../{name}/secret",
        str(outside / "secret"),
        "link/secret",
        "file-link",
        "dangling",
        "hop/secret",
        f"up/{name}/secret",
        f"link/../{name}/secret",
        "/etc/passwd",
        "/proc/self/environ",
    ]


async def test_no_path_leads_out(tools: Tools, outside: Path) -> None:
    for path in paths(outside):
        assert OUT in await tools.refused("read_file", path=path)
        assert OUT in await tools.refused("write_file", path=path, content="x")
        assert OUT in await tools.refused("list_dir", path=path)
        for lines in (
            [f"*** Add File: {path}", "+x"],
            [f"*** Delete File: {path}"],
            [f"*** Update File: {path}", "-secret", "+x"],
            ["*** Update File: inside/file", f"*** Move to: {path}"],
        ):
            output = await tools.patch(*lines)
            assert not output.success
            assert OUT in output.text
    assert inside(outside) == ["secret"]
    assert (outside / "secret").read_text() == "secret"
    assert tools.stage.heard.events == []


async def test_the_parent_itself_cannot_be_listed_or_written(tools: Tools, outside: Path) -> None:
    for path in ("..", "/", "up", "inside/../..", str(tools.stage.root.parent)):
        assert OUT in await tools.refused("list_dir", path=path)
        assert OUT in await tools.refused("write_file", path=path, content="")


def test_no_path_of_whatever_names_leads_out(tools: Tools, outside: Path) -> None:
    names = ["..", ".", "", "link", "up", "hop", "inner", "inside", "file", "secret", "nothing", "loop", outside.name]

    @settings(max_examples=500)
    @given(st.lists(st.sampled_from(names), min_size=1, max_size=7), st.booleans())
    def check(parts: list[str], absolute: bool) -> None:
        path = "/".join([str(tools.stage.root), *parts] if absolute else parts)
        with Folder(tools.stage.root) as folder, contextlib.suppress(Refusal, OSError):
            place = folder.place(path)
            with contextlib.suppress(Refusal, OSError):
                folder.write(place, b"fine")
            with folder.reading(place) as file:
                assert file.read() == b"fine"
        assert inside(outside) == ["secret"]
        assert inside(outside.parent) == sorted([outside.name, tools.stage.root.name])
        assert (outside / "secret").read_text() == "secret"

    check()


async def test_symlinks_that_stay_inside_work(tools: Tools, outside: Path) -> None:
    assert await tools.done("read_file", path="inner/file") == "fine"
    assert await tools.done("read_file", path="inner-file") == "fine"
    await tools.done("write_file", path="inner-file", content="new")
    assert (tools.stage.root / "inside" / "file").read_text() == "new"
    assert (tools.stage.root / "inner-file").is_symlink()
    assert await tools.done("list_dir", path="inner") == "file"
    assert {payload.path for _, payload in tools.stage.heard.events} == {"inside/file"}


async def test_a_symlink_itself_is_neither_deleted_nor_moved(tools: Tools, outside: Path) -> None:
    output = await tools.patch("*** Delete File: inner-file")
    assert (output.success, output.text) == (False, "inner-file is a symlink; only files can be deleted or moved")
    assert not (await tools.patch("*** Update File: inner-file", "*** Move to: x")).success
    assert (tools.stage.root / "inside" / "file").read_text() == "fine"


async def test_a_loop_of_symlinks_is_an_answer(tools: Tools, outside: Path) -> None:
    for path in ("loop", "loop/x"):
        await tools.refused("read_file", path=path)
        await tools.refused("write_file", path=path, content="x")
        await tools.refused("list_dir", path=path)


async def test_nul_and_surrogates_are_an_answer(tools: Tools) -> None:
    assert await tools.refused("read_file", path="a\0b") == "a path cannot hold a NUL"
    assert "not valid" in await tools.refused("write_file", path="a", content="\ud800")


async def test_a_directory_that_becomes_a_symlink_at_any_moment_leads_nobody_out(tools: Tools, outside: Path) -> None:
    root = tools.stage.root
    (outside / "file").write_text("secret")
    (root / "swapped").mkdir()
    (root / "swapped" / "file").write_text("fine")
    (root / "bait").symlink_to(outside)
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            exchange(root / "swapped", root / "bait")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(300):
            assert "secret" not in (await tools("read_file", path="swapped/file")).text
            await tools("write_file", path="swapped/file", content="fine")
            await tools.patch("*** Update File: swapped/file", "-fine", "+fine")
            assert "secret" not in (await tools("list_dir", path="swapped")).text
    finally:
        done.set()
        thread.join()
    assert inside(outside) == ["file", "secret"]
    assert (outside / "file").read_text() == "secret"
