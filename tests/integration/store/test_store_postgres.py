"""What only PostgreSQL does: go away by itself, come back, and let others write between two statements."""

import asyncio
import signal
from collections.abc import AsyncGenerator

import asyncpg
import pytest

from cody.store import DatabaseGone, Overtaken, Store
from tests.integration.store.store_stage import AT, a_run, begin, change, opened, row
from tests.parts import until
from tests.postgres import PostgresServer


@pytest.fixture
def url(postgres_server: PostgresServer):
    with postgres_server.database() as url:
        yield url


@pytest.fixture
async def store(url: str) -> AsyncGenerator[Store]:
    async with opened(url) as store:
        yield store


@pytest.fixture
async def other(url: str) -> AsyncGenerator["asyncpg.Connection[asyncpg.Record]"]:
    """Somebody else's connection."""
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


async def test_a_database_that_was_killed_is_away_and_then_as_it_was(
    store: Store, postgres_server: PostgresServer
) -> None:
    run_id = await begin(store)
    async with postgres_server.killed():
        for _ in range(2):
            with pytest.raises(DatabaseGone):
                await store.runs.get(run_id)
            with pytest.raises(DatabaseGone):
                await store.runs.accept(a_run())
    assert (await row(store, run_id)).status == "running"
    assert (await store.runs.accept(a_run()))[1]


async def test_transactions_that_a_kill_cut_off_tell_that_the_database_is_away(
    store: Store, postgres_server: PostgresServer
) -> None:
    run_id = await begin(store)
    kept = 0

    async def write(turn: int) -> None:
        nonlocal kept
        part = 0
        while True:
            await store.turns.keep_output(run_id, turn, 1, part, b"x" * 1000)
            part, kept = part + 1, kept + 1

    writers = [asyncio.create_task(write(turn)) for turn in range(1, 21)]
    await until(lambda: kept > 50)
    async with postgres_server.killed():
        ends = await asyncio.gather(*writers, return_exceptions=True)
    assert [end for end in ends if not isinstance(end, DatabaseGone)] == []
    assert await store.turns.newest_attempt(run_id, 1) is None  # it answers again


async def test_who_waits_for_a_frozen_database_can_stop_waiting(store: Store, postgres_server: PostgresServer) -> None:
    await store.pulse.beat()
    postgres_server.signal(signal.SIGSTOP)
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await store.pulse.beat()
    finally:
        postgres_server.signal(signal.SIGCONT)
    await store.pulse.beat()


async def test_a_database_that_is_not_there_or_refuses_us_is_away(url: str) -> None:
    for wrong in (url + "_not", url.replace("cody@", "nobody@")):
        store = Store(wrong)
        with pytest.raises(DatabaseGone):
            await store.open()
        await store.close()


async def test_a_database_that_became_a_standby_is_away(url: str, other: "asyncpg.Connection[asyncpg.Record]") -> None:
    name = await other.fetchval("SELECT current_database()")
    await other.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    async with opened(url) as store:
        assert await store.runs.count_by_status() == {}
        with pytest.raises(DatabaseGone, match="read-only"):
            await store.pulse.beat()


async def test_the_name_that_libpq_has_for_encryption_is_understood(url: str) -> None:
    async with opened(f"{url}?sslmode=disable") as store:
        await store.pulse.beat()


async def test_a_value_that_no_column_takes_is_not_a_database_that_is_away(store: Store) -> None:
    with pytest.raises(Exception, match="out of int64 range") as refused:
        await store.runs.unsettled(2**70)
    assert not isinstance(refused.value, DatabaseGone)


async def test_a_cancel_that_is_just_being_accepted_beats_the_runs_end(
    store: Store, other: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    run_id = await begin(store)
    async with other.transaction():
        await other.execute("SELECT 1 FROM runs WHERE id = $1 FOR NO KEY UPDATE", run_id)
        await other.execute(
            "INSERT INTO controls (run_id, action, mode, reason, requested_at) VALUES ($1, 'cancel', 'now', '', $2)",
            run_id,
            AT,
        )
        ending = asyncio.create_task(store.runs.record(change(run_id, 2, "completed")))
        await until(lambda: _waiting(other), what="the record waits for the control")
    with pytest.raises(Overtaken):
        await ending
    assert (await row(store, run_id)).status == "cancelling"


async def test_a_look_is_at_one_moment(store: Store, other: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Else a snapshot could miss a control that the workflow applied between the row and what is pending."""
    settings = "SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only')"
    seen = await store.database.read(lambda connection: connection.exec_driver_sql(settings).one())
    assert tuple(seen) == ("repeatable read", "on")
    seen = await store.database.write(lambda connection: connection.exec_driver_sql(settings).one())
    assert tuple(seen) == ("read committed", "off")


async def _waiting(connection: "asyncpg.Connection[asyncpg.Record]") -> int:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return await connection.fetchval(query)
