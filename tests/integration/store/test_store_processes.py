"""Several processes on one database: they migrate it at once, and write to it at once."""

import asyncio
import sqlite3
import sys
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine

from cody.store import Store
from cody.store.tables import metadata
from tests.integration.store.store_bench import begin, opened, row

PROGRAM = Path(__file__).with_name("store_program.py")


async def other_process(path: Path, *what: str) -> str:
    """Run the program to its end; gives what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", str(PROGRAM), f"sqlite:///{path}", *what),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert err == b""
    return out.decode()


def schema(path: Path) -> list[str]:
    """The statements that made the tables."""
    with sqlite3.connect(path) as connection:
        found = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
    connection.close()
    return [statement for (statement,) in found]


async def test_migrations_make_the_tables_that_the_code_knows(tmp_path: Path) -> None:
    path = tmp_path / "cody.db"
    async with opened(path):
        pass
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


async def test_a_database_that_is_up_to_date_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "cody.db"
    async with opened(path) as store:
        run_id = await begin(store)
    before = schema(path)
    async with opened(path) as store:
        assert (await row(store, run_id)).status == "running"
        await store.open()
    assert schema(path) == before


async def test_processes_and_tasks_migrate_at_once(tmp_path: Path) -> None:
    path, alone = tmp_path / "cody.db", tmp_path / "alone.db"
    async with opened(alone):
        pass

    async def here() -> None:
        async with opened(path) as store:
            await store.database.ping()

    others = [other_process(path, "open") for _ in range(3)]
    await asyncio.gather(*others, *(here() for _ in range(5)))

    assert schema(path) == schema(alone)


async def test_no_process_is_told_that_the_database_is_locked(tmp_path: Path) -> None:
    path = tmp_path / "cody.db"
    async with opened(path) as store, opened(path) as second:
        run_id = await begin(store)
        others = asyncio.gather(*(other_process(path, "write", run_id, turn, "1.0") for turn in ("100", "200")))

        async def write(each: Store, turn: int) -> int:
            part = 0
            while not others.done():
                await each.turns.keep_output(run_id, turn, 1, part, b"y" * 1000)
                assert await each.runs.get(run_id)
                part += 1
            return part

        here = await asyncio.gather(*(write(each, turn) for turn, each in enumerate((store, store, second, second), 1)))
        there = [int(printed) for printed in await others]

    assert min(here) > 0
    assert min(there) > 0
    with sqlite3.connect(path) as connection:
        (kept,) = connection.execute("SELECT count(*) FROM outputs").fetchone()
    connection.close()
    assert kept == sum(here) + sum(there)
