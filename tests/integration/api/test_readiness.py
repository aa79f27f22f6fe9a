"""Readiness tells of each part what it does just now, on real parts that fail and come back."""

import asyncio
import signal
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from api.gateway import Gateway
from api.problems import TemporalGone
from api.readiness import Check, Readiness
from cody.clock import now_ms
from cody.store import DatabaseGone, Store
from cody.store.tables import pulses
from cody.stream.log import Log
from tests.parts import RedisServer, connected, running_redis, until
from tests.workflows.stack import running_temporal


async def well() -> None:
    """A part that works."""


async def hangs() -> None:
    await asyncio.Event().wait()


def always_looking(**checks: Check) -> Readiness:
    """What was found is never told again; the parts that are not given work."""
    return Readiness({"temporal": well, "redis": well, "database": well, **checks}, fresh_seconds=0.0)


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncGenerator[RedisServer]:
    """One of its own, as these tests break it."""
    with running_redis(tmp_path) as server:
        yield server


def down(health: Readiness, part: str) -> Callable[[], Awaitable[str]]:
    """What the part says is wrong, if that is all that is wrong."""

    async def look() -> str:
        found = await health.look()
        assert {name for name, fault in found.items() if fault is not None} <= {part}
        return str(found[part] or "")

    return look


def up(health: Readiness) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return set((await health.look()).values()) == {None}

    return look


async def test_a_part_that_hangs_holds_nobody_up_and_many_probes_cost_one_look():
    looks = 0

    async def counts() -> None:
        nonlocal looks
        looks += 1

    checks = {"temporal": counts, "redis": hangs, "database": well}
    health = Readiness(checks, patience_seconds=0.2, fresh_seconds=3600.0)
    found = await asyncio.gather(*(health.look() for _ in range(50)))
    assert all(one == found[0] for one in found)
    assert {part: str(fault) for part, fault in found[0].items() if fault} == {"redis": "no answer for 0.2 s"}
    assert looks == 1


async def test_what_is_no_longer_fresh_is_looked_at_again():
    faults = iter([ConnectionError("away"), None])

    async def comes_back() -> None:
        if fault := next(faults):
            raise fault

    health = Readiness({"temporal": comes_back}, fresh_seconds=0.0)
    assert [bool((await health.look())["temporal"]) for _ in range(2)] == [True, False]


async def test_whatever_a_check_raises_its_part_is_down():
    async def breaks() -> None:
        raise ZeroDivisionError("of its own")

    found = await Readiness({"temporal": well, "redis": breaks, "database": well}).look()
    assert {part for part, fault in found.items() if fault} == {"redis"}


@pytest.mark.parametrize(
    ("broken", "mended", "said"),
    [
        (["CONFIG SET maxmemory-policy noeviction", "CONFIG SET maxmemory 1"], "CONFIG SET maxmemory 0", "maxmemory"),
        (["REPLICAOF 127.0.0.1 1"], "REPLICAOF NO ONE", "read only"),
        (["CONFIG SET min-replicas-to-write 1"], "CONFIG SET min-replicas-to-write 0", "replicas"),
    ],
    ids=["full", "replica", "too few replicas"],
)
async def test_a_redis_that_answers_but_takes_no_write_is_down(
    redis: RedisServer, broken: list[str], mended: str, said: str
):
    async with connected(redis.url) as client:
        log = Log(client)
        health = always_looking(redis=log.touch)
        assert await up(health)()
        for command in broken:
            await client.execute_command(*command.split())
        await log.ping()
        assert said in await until(down(health, "redis"))
        await client.execute_command(*mended.split())
        await until(up(health))


async def test_a_redis_whose_disk_failed_is_down(redis: RedisServer, tmp_path: Path):
    """MISCONF: it could not save, and stops taking writes."""
    async with connected(redis.url) as client:
        log = Log(client)
        health = always_looking(redis=log.touch)
        (tmp_path / "dump.rdb").mkdir()  # where it wants to put a file
        await client.execute_command("CONFIG", "SET", "save", "1 1")
        assert "MISCONF" in await until(down(health, "redis"))
        assert await log.last("run_none") is None  # it can be read
        (tmp_path / "dump.rdb").rmdir()
        await until(up(health))


async def test_a_redis_that_is_stopped_or_killed_is_down_until_it_is_back(redis: RedisServer):
    async with connected(redis.url) as client:
        health = always_looking(redis=Log(client).touch)
        assert await up(health)()
        redis.signal(signal.SIGSTOP)
        assert "no answer" in await until(down(health, "redis"))
        redis.signal(signal.SIGCONT)
        await until(up(health))
        async with redis.killed():
            assert await until(down(health, "redis"))
        await until(up(health))


async def test_sqlite_that_another_holds_for_long_is_down(tmp_path: Path):
    path = tmp_path / "cody.db"
    store = Store(f"sqlite:///{path}")
    await store.open()
    health = always_looking(database=store.pulse.beat)
    assert await up(health)()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert await until(down(health, "database"))
        assert await store.runs.count_by_status() == {}  # it can be read all the time
        other.execute("ROLLBACK")
    await until(up(health))
    await store.close()


async def test_sqlite_that_cannot_be_written_is_down(tmp_path: Path):
    path = tmp_path / "cody.db"
    store = Store(f"sqlite:///{path}")
    await store.open()
    await store.pulse.beat()
    readable = Store(f"sqlite:///file:{path}?mode=ro&uri=true")
    assert await readable.runs.count_by_status() == {}
    with pytest.raises(DatabaseGone, match="readonly"):
        await readable.pulse.beat()
    await readable.close()
    await store.close()


async def test_a_pulse_is_one_row_a_process_and_old_ones_go(store: Store):
    def rows() -> Awaitable[set[str]]:
        return store.database.read(lambda connection: set(connection.execute(select(pulses.c.process)).scalars()))

    dead = insert(pulses).values([{"process": "long dead", "at": 0}, {"process": "just dead", "at": now_ms()}])
    await store.database.write(lambda connection: connection.execute(dead))
    for _ in range(3):
        await store.pulse.beat()
    assert len(await rows()) == 2
    assert "just dead" in await rows()


async def test_a_temporal_without_the_namespace_is_down(tmp_path: Path):
    with running_temporal(tmp_path) as address:
        health = Readiness({"temporal": (await Gateway.connect(address, "default")).ping})
        await until(up(health))
        with pytest.raises(TemporalGone, match="elsewhere"):
            await (await Gateway.connect(address, "elsewhere")).ping()
