import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from cody.agents.patterns import Globs
from cody.agents.scan import Scanner
from cody.agents.workspace import Workspace
from cody.contract.payloads import FileWritten, LogUpdated
from tests.integration.agents.agents_stage import Heard, Stage
from tests.parts import until

Watch = Callable[..., AbstractAsyncContextManager[Workspace]]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def watch(tmp_path: Path, heard: Heard) -> Watch:
    @asynccontextmanager
    async def watching(
        logs: tuple[str, ...] = (), include: tuple[str, ...] = ("**/*",), exclude: tuple[str, ...] = (".git/**",)
    ) -> AsyncIterator[Workspace]:
        async with Workspace(tmp_path, heard.emit, logs=logs, include=include, exclude=exclude) as workspace:
            yield workspace

    return watching


def written(heard: Heard) -> list[tuple[str, int | None]]:
    return [(each.path, each.bytes) for each in heard.of("file_written") if isinstance(each, FileWritten)]


def deltas(heard: Heard) -> list[tuple[int, int, tuple[str, ...]]]:
    found = [each.delta for each in heard.of("log_updated") if isinstance(each, LogUpdated)]
    return [(each.added_bytes, each.added_lines, each.tail) for each in found]


def link(path: Path, target: Path) -> None:
    path.symlink_to(target)


async def test_files_are_told_while_the_turn_goes_on(watch: Watch, heard: Heard, tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("old")
    (tmp_path / "same.txt").write_text("same")
    async with watch():
        (tmp_path / "src").mkdir()
        (tmp_path / "src" / "new.py").write_text("12345")
        (tmp_path / "old.txt").unlink()
        await until(lambda: len(heard.events) == 2)
    assert written(heard) == [("src/new.py", 5)]
    assert [each.path for each in heard.of("file_deleted")] == ["old.txt"]
    assert len(heard.events) == 2


async def test_the_end_tells_the_rest_at_once(watch: Watch, heard: Heard, tmp_path: Path) -> None:
    async with watch(logs=("log.md",)):
        (tmp_path / "a").write_text("a")
        (tmp_path / "log.md").write_text("one\ntwo\n")
    assert written(heard) == [("a", 1)]
    assert deltas(heard) == [(8, 2, ("one", "two"))]


async def test_what_the_agent_reported_is_not_said_twice(watch: Watch, heard: Heard, tmp_path: Path) -> None:
    (tmp_path / "gone").write_text("x")
    async with watch(logs=("log.md",)) as workspace:
        workspace.reported("before")
        (tmp_path / "before").write_text("x")
        (tmp_path / "after").write_text("x")
        workspace.reported("after", "file_written")
        (tmp_path / "gone").unlink()
        workspace.reported("gone", "file_deleted")
        (tmp_path / "log.md").write_text("x\n")
        workspace.reported("log.md", "log_updated")
        (tmp_path / "unsaid").write_text("x")
        await until(lambda: heard.events)
        later = time.time() + 30
        os.utime(tmp_path / "after", (later, later))  # long after its report: another change
    assert written(heard) == [("unsaid", 1), ("after", 1)]
    assert len(heard.events) == 2


async def test_globs_choose_and_git_is_not_even_looked_into(watch: Watch, heard: Heard, tmp_path: Path) -> None:
    async with watch(include=("**/*.py", "docs"), exclude=(".git/**", "**/node_modules/**", "**/secret.py")):
        for path in ("a.py", "b/c.py", "b/c.txt", "docs/x/y.txt", ".git/z.py", "b/node_modules/d.py", "b/secret.py"):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text("x")
    assert [path for path, _ in written(heard)] == ["a.py", "b/c.py", "docs/x/y.txt"]


async def test_a_log_is_read_on_from_where_it_was(watch: Watch, heard: Heard, tmp_path: Path) -> None:
    log = tmp_path / "notes" / "log.md"
    log.parent.mkdir()
    log.write_text("old\n" * 5)
    async with watch(logs=("notes/log.md",)):
        with log.open("a") as file:
            file.write("new\npart")
        await until(lambda: len(deltas(heard)) == 1)
        with log.open("a") as file:
            file.write("ial\nlast\n")
        await until(lambda: len(deltas(heard)) == 2)
    assert deltas(heard) == [
        (8, 2, ("old",) * 5 + ("new", "part")),
        (9, 1, ("old",) * 5 + ("new", "partial", "last")),
    ]
    assert heard.of("log_updated")[0].kind == heard.of("log_updated")[0].path == "notes/log.md"
    assert not written(heard)


@pytest.mark.parametrize("how", ["truncated", "replaced", "rewritten"])
async def test_a_log_that_is_new_is_new_as_a_whole(watch: Watch, heard: Heard, tmp_path: Path, how: str) -> None:
    log = tmp_path / "log.md"
    log.write_text("old old old\n")
    text = {"truncated": "new\n", "replaced": "new\n", "rewritten": "new new new new\n"}[how]
    async with watch(logs=("log.md",)):
        if how == "replaced":
            (tmp_path / "other").write_text(text)
            (tmp_path / "other").rename(log)
        else:
            log.write_text(text)
    assert deltas(heard) == [(len(text), 1, (text.strip(),))]


async def test_a_big_logs_tail_is_20_lines(watch: Watch, heard: Heard, tmp_path: Path) -> None:
    async with watch(logs=("log.md",)):
        (tmp_path / "log.md").write_text("".join(f"{n}\n" for n in range(100_000)))
    ((_, lines, tail),) = deltas(heard)
    assert lines == 100_000
    assert tail == tuple(str(n) for n in range(99_980, 100_000))


async def test_a_log_that_leads_out_is_not_read(watch: Watch, heard: Heard, tmp_path: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.write_text("secret\n")
    async with watch(logs=("log.md",)):
        link(tmp_path / "log.md", outside)
    assert heard.types() == ["warning"]
    assert heard.of("warning")[0].code == "watch_failed"
    assert "secret" not in str(heard.events)


async def test_what_cannot_be_looked_into_is_one_warning_and_no_deletion(
    watch: Watch, heard: Heard, tmp_path: Path
) -> None:
    log = tmp_path / "log.md"
    log.mkdir()
    async with watch(logs=("log.md",)):
        (log / "x").write_text("x")
        await until(lambda: heard.of("file_written"))
    assert len(heard.of("warning")) == 1


async def test_names_that_are_no_text_are_told_as_text(watch: Watch, heard: Heard, tmp_path: Path) -> None:
    async with watch():
        (tmp_path / os.fsdecode(b"bad\xff")).write_text("x")
        (tmp_path / "new\nline").write_text("x")
    assert written(heard) == [("bad\ufffd", 1), ("new\nline", 1)]
    heard.of("file_written")[0].model_dump_json()


def test_a_look_at_5_000_files_finds_them_all_and_nothing_new(tmp_path: Path) -> None:
    for directory in range(100):
        place = tmp_path / f"d{directory}"
        place.mkdir()
        for number in range(50):
            (place / f"f{number}.py").touch()
    scanner = Scanner(tmp_path, Globs(["**/*.py"]), Globs([".git/**"]))
    known = scanner.scan({}).files
    assert scanner.scan(known).files == known
    assert len(known) == 5_000


async def test_the_watch_works_beside_a_turn(stage: Stage) -> None:
    workspace = Workspace(stage.root, stage.heard.emit, logs=["log.md"], include=["**/*"], exclude=[".git/**"])
    async with workspace:
        turn = asyncio.create_task(stage.sh("echo x > made; echo line >> log.md; sleep 1000"))
        await until(lambda: {"file_written", "log_updated"} <= set(stage.heard.types()))
        stage.stop.request()
        await turn
    assert stage.heard.of("file_written")[0].path == "made"
