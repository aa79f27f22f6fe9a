"""Several processes on one database: they migrate it at once, and write to it at once."""

import asyncio
import sys
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, func, select
from sqlalchemy.schema import CreateIndex, CreateTable

from cody.store import Database, Store, tables
from cody.store.schema import newest_revision
from cody.store.upgrade import alembic_config
from tests.integration.store.store_stage import begin, opened, row

PROGRAM = Path(__file__).with_name("store_program.py")


async def other_process(url: str, *what: str) -> str:
    """Run the program to its end; gives what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", str(PROGRAM), url, *what),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert err == b""
    return out.decode()


async def schema(database: Database) -> list[str]:
    """The statements that make the tables as they are."""

    def read(connection: Connection) -> list[str]:
        found = MetaData()
        found.reflect(connection)
        made = [CreateTable(each) for each in found.sorted_tables]
        indexes = [CreateIndex(index) for each in found.sorted_tables for index in each.indexes]
        return sorted(str(each.compile(dialect=connection.dialect)) for each in (*made, *indexes))

    return await database.read(read)


async def test_migrations_make_the_tables_that_the_code_knows(empty_database_url: str) -> None:
    def differs(connection: Connection) -> list[object]:
        return compare_metadata(MigrationContext.configure(connection), tables.metadata)

    async with opened(empty_database_url) as store:
        assert await store.database.read(differs) == []


def test_the_newest_migration_is_told_by_its_file() -> None:
    assert newest_revision() == ScriptDirectory.from_config(alembic_config()).get_current_head()


async def test_migrations_go_down_and_up_again(empty_database_url: str) -> None:
    def down(connection: Connection) -> None:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.downgrade(config, "base")

    async with opened(empty_database_url) as store:
        there = await schema(store.database)
        await store.database.rebuild(down)
        assert [made for made in await schema(store.database) if "alembic_version" not in made] == []
        await store.open()
        assert await schema(store.database) == there
        await begin(store)


async def test_a_database_that_is_up_to_date_is_left_as_it_is(empty_database_url: str) -> None:
    async with opened(empty_database_url) as store:
        run_id = await begin(store)
        before = await schema(store.database)
    async with opened(empty_database_url) as store:
        assert (await row(store, run_id)).status == "running"
        await store.open()
        assert await schema(store.database) == before


async def test_processes_and_tasks_migrate_at_once(empty_database_url: str) -> None:
    async def here() -> list[str]:
        async with opened(empty_database_url) as store:
            return await schema(store.database)

    others = [other_process(empty_database_url, "open") for _ in range(3)]
    _, *seen = await asyncio.gather(asyncio.gather(*others), *(here() for _ in range(5)))

    (schemas,) = {tuple(each) for each in seen}
    assert sum(made.lstrip().startswith("CREATE TABLE") for made in schemas) == len(tables.metadata.tables) + 1


async def test_no_process_is_told_that_the_database_is_locked(database_url: str) -> None:
    async with opened(database_url) as store, opened(database_url) as second:
        run_id = await begin(store)
        others = asyncio.gather(*(other_process(database_url, "write", run_id, turn, "1.0") for turn in ("100", "200")))

        async def write(each: Store, turn: int) -> int:
            part = 0
            while not others.done():
                await each.turns.keep_output(run_id, turn, 1, part, b"y" * 1000)
                assert await each.runs.get(run_id)
                part += 1
            return part

        here = await asyncio.gather(*(write(each, turn) for turn, each in enumerate((store, store, second, second), 1)))
        there = [int(printed) for printed in await others]
        count = select(func.count()).select_from(tables.outputs)
        kept = await store.database.read(lambda connection: connection.execute(count).scalar_one())

    assert min(here) > 0
    assert min(there) > 0
    assert kept == sum(here) + sum(there)
