"""The hub: every follower sees every SEQ after its cursor once, in order, soon, and whatever Redis does."""

import asyncio
from contextlib import AsyncExitStack, ExitStack

import pytest

from activities.beside import beside
from cody.contract.events import encode
from cody.contract.payloads import LogGap
from cody.stream.connection import BLOCK_MS, RedisGone
from cody.stream.follower import Follower, Trimmed
from cody.stream.hub import Hub
from cody.stream.hub_figures import HubFigures
from cody.stream.keys import log_key
from cody.stream.log import Log
from cody.stream.writer import AttemptWriter
from tests.figures import own
from tests.integration.stream.hub_stage import LONG_SECONDS, assert_saw_all, flood, running_hub, see
from tests.integration.stream.stream_proxy import proxy_to
from tests.integration.stream.stream_stage import AT, say, speaker, text
from tests.parts import PATIENCE_SECONDS, RedisServer, connected, new_run_id, until

SOON_SECONDS = 2.0
"""Generous for a machine that others use too, and far from what a blocking read waits."""
assert SOON_SECONDS * 2 < BLOCK_MS / 1000


async def settled(hub: Hub, run_id: str) -> None:
    """Wait until the hub's blocking read waits for this run; what comes then comes by the hub."""
    await until(lambda: run_id in hub.watched)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            clients = await hub.log.redis.client_list()
            if any(client["flags"] == "b" and client["cmd"] == "xread" for client in clients):
                return


async def assert_quick(hub: Hub, log: Log, run_id: str) -> None:
    """Follow a run that has no log yet; its first events come soon after they are written."""
    with hub.follow(run_id, 0) as follower:
        for number in (1, 2):
            seeing = asyncio.create_task(see(follower, number))
            await until(lambda: hub._rings[run_id].listeners)
            await say(log, run_id, number)
            seen = await asyncio.wait_for(seeing, SOON_SECONDS)
            assert [entry.seq for entry in seen] == [number]


async def test_followers_at_different_cursors_see_each_seq_once(redis_server: RedisServer, log: Log) -> None:
    run_id = new_run_id()
    await say(log, run_id, 1, *["item_delta"] * 100)
    async with running_hub(redis_server) as hub:
        starts = [0, 1, 50, 99, 100]
        with ExitStack() as stack:
            followers = [stack.enter_context(hub.follow(run_id, start)) for start in starts]
            watching = asyncio.gather(*(see(follower, 200) for follower in followers))
            for number in range(101, 201):
                await say(log, run_id, number)
            for start, seen in zip(starts, await watching, strict=True):
                await assert_saw_all(log, run_id, seen, start)


async def test_followers_come_at_any_moment_of_a_flood(redis_server: RedisServer, log: Log) -> None:
    run_id, total = new_run_id(), 5000
    writer = AttemptWriter(log, speaker(run_id, 1, 1))

    async def join(hub: Hub, at: int) -> None:
        await until(lambda: log.at(run_id, at))
        with hub.follow(run_id, 0) as follower:
            await assert_saw_all(log, run_id, await see(follower, total))

    async with running_hub(redis_server) as hub, beside(writer.run()):
        joining = [join(hub, at) for at in (1, 200, 2000, 3500)]
        with hub.follow(run_id, 0) as follower:
            seen, *_ = await asyncio.gather(see(follower, total), flood(writer, total), *joining)
        await assert_saw_all(log, run_id, seen)


async def test_a_follower_added_while_the_read_blocks_gets_news_at_once(redis_server: RedisServer, log: Log) -> None:
    quiet, busy = new_run_id(), new_run_id()
    async with running_hub(redis_server) as hub:
        with hub.follow(quiet, 0):
            await settled(hub, quiet)
            await assert_quick(hub, log, busy)


@pytest.mark.parametrize("lost", ["the connection", "redis"])
async def test_news_stay_quick_after_the_idle_hub_lost(redis_server: RedisServer, log: Log, lost: str) -> None:
    """A connection that broke while nobody watched: the hub has to know the new one, to interrupt its reads."""
    first, quiet, busy = new_run_id(), new_run_id(), new_run_id()
    async with running_hub(redis_server) as hub:
        with hub.follow(first, 0) as follower:
            await settled(hub, first)
            await say(log, first, 1)
            await see(follower, 1)
        await say(log, first, 2)  # the read that was still waiting returns; nobody watches now
        await until(lambda: _blocked(hub, wanted=False))
        if lost == "redis":
            async with redis_server.killed():
                pass
        else:
            await log.redis.client_kill_filter(_id=str(hub._tail.client_id))
        with hub.follow(quiet, 0):
            await settled(hub, quiet)
            await assert_quick(hub, log, busy)


async def _blocked(hub: Hub, *, wanted: bool) -> bool:
    clients = await hub.log.redis.client_list()
    return any(client["flags"] == "b" for client in clients) == wanted


async def test_an_event_between_an_empty_look_and_the_wait_for_more_is_not_slept_over(
    redis_server: RedisServer, log: Log
) -> None:
    run_id = new_run_id()
    async with proxy_to(redis_server.port) as proxy, running_hub(redis_server, url=proxy.url) as hub:
        await hub.log.ping()
        held, go = proxy.hold(b"\r\nXRANGE\r\n")
        with hub.follow(run_id, 0) as follower:
            seeing = asyncio.create_task(see(follower, 1))
            await held.wait()  # it looked, and there was nothing
            await until(lambda: hub._rings[run_id].base)
            await say(log, run_id, 1)
            await until(lambda: hub._rings[run_id].last.seq == 1)
            go.set()
            assert [entry.seq for entry in await asyncio.wait_for(seeing, SOON_SECONDS)] == [1]


async def test_a_slow_follower_whose_ring_overflowed_reads_for_itself(redis_server: RedisServer, log: Log) -> None:
    run_id, total = new_run_id(), 3000
    writer = AttemptWriter(log, speaker(run_id, 1, 1))
    async with running_hub(redis_server, ring_bytes=10_000) as hub, beside(writer.run()):
        with hub.follow(run_id, 0) as quick, hub.follow(run_id, 0) as slow:
            await settled(hub, run_id)
            seeing = asyncio.create_task(see(quick, total))
            await flood(writer, total)
            await assert_saw_all(log, run_id, await seeing)
            ring = hub._rings[run_id]
            assert ring.size <= 10_000
            shown = {family.name: family.samples[0].value for family in HubFigures(hub).collect()}
            assert shown["cody_hub_ring_bytes"] == ring.size > 0
            assert slow.seq + 1 < (ring.base or 0)
            misses = own().value("cody_hub_ring_misses_total")
            await assert_saw_all(log, run_id, await see(slow, total))
            assert own().value("cody_hub_ring_misses_total") > misses


async def test_where_all_rings_are_full_the_quietest_is_let_go_of(redis_server: RedisServer, log: Log) -> None:
    quiet, loud, total = new_run_id(), new_run_id(), 300
    writers = {run_id: AttemptWriter(log, speaker(run_id, 1, 1)) for run_id in (quiet, loud)}
    async with running_hub(redis_server, hub_bytes=100_000) as hub, AsyncExitStack() as stack:
        for writer in writers.values():
            await stack.enter_async_context(beside(writer.run()))
        slow, *quick = [stack.enter_context(hub.follow(run_id, 0)) for run_id in (quiet, quiet, loud)]
        for follower in quick:
            await settled(hub, follower.run_id)
            seeing = asyncio.create_task(see(follower, total))
            await flood(writers[follower.run_id], total)
            await assert_saw_all(log, follower.run_id, await seeing)
        assert 0 < hub.ring_bytes == hub._rings[loud].size <= 100_000
        await assert_saw_all(log, quiet, await see(slow, total))
        await flood(writers[quiet], 1)  # what comes by the ring follows on what was read
        await assert_saw_all(log, quiet, await see(slow, total + 1), after=total)
    assert hub.ring_bytes == 0


async def test_an_event_larger_than_the_ring_passes(redis_server: RedisServer, log: Log) -> None:
    run_id = new_run_id()
    writer = AttemptWriter(log, speaker(run_id, 1, 1))
    async with running_hub(redis_server, ring_bytes=100) as hub, beside(writer.run()):
        with hub.follow(run_id, 0) as follower:
            seeing = asyncio.create_task(see(follower, 3))
            for content in ("x" * 5000, "y" * 5000, "z"):
                writer.emit("item_delta", AT, text(content))
                await writer.flush()
            await assert_saw_all(log, run_id, await seeing)


async def test_followers_go_on_when_redis_was_killed_under_them(redis_server: RedisServer, log: Log) -> None:
    runs = [new_run_id() for _ in range(3)]
    writers = [AttemptWriter(log, speaker(run_id, 1, 1)) for run_id in runs]

    async def patiently(follower: Follower, upto: int) -> list[int]:
        seen: list[int] = []
        while follower.seq < upto:
            try:
                seen.extend(entry.seq for entry in await follower.take(LONG_SECONDS))
            except RedisGone:  # it reads for itself where it is behind
                await asyncio.sleep(0.01)
        return seen

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(asyncio.timeout(2 * PATIENCE_SECONDS))
        hub = await stack.enter_async_context(running_hub(redis_server))
        followers = [stack.enter_context(hub.follow(run_id, 0)) for run_id in runs]
        for writer in writers:
            await stack.enter_async_context(beside(writer.run()))
        seeing = [asyncio.create_task(patiently(each, 2000)) for each in followers]
        await asyncio.gather(*(flood(writer, 500) for writer in writers))
        for _ in range(2):
            async with redis_server.killed():
                floods = [asyncio.create_task(flood(writer, 500)) for writer in writers]
            await asyncio.gather(*floods)
        await asyncio.gather(*(flood(writer, 500) for writer in writers))
        assert await asyncio.gather(*seeing) == [list(range(1, 2001))] * 3


async def test_the_last_follower_takes_the_ring_along(redis_server: RedisServer, log: Log) -> None:
    run_id = new_run_id()
    await say(log, run_id, 1)
    async with running_hub(redis_server) as hub:
        with hub.follow(run_id, 0):
            with hub.follow(run_id, 0):
                assert hub.watched == {run_id: 2}
            assert hub.watched == {run_id: 1}
        assert hub.watched == {}
        with hub.follow(run_id, 0) as follower:  # the read for the old ring may still be under way
            await say(log, run_id, 2)
            await assert_saw_all(log, run_id, await see(follower, 2))
        with pytest.raises(ZeroDivisionError), hub.follow(run_id, 0):
            _ = 1 / 0
        assert hub.watched == {}


async def test_what_was_trimmed_is_told(redis_server: RedisServer, log: Log) -> None:
    run_id = new_run_id()
    await say(log, run_id, 1, *["item_delta"] * 10)
    await log.redis.xtrim(log_key(run_id), minid="6-0", approximate=False)
    async with running_hub(redis_server) as hub:
        with hub.follow(run_id, 3) as behind, hub.follow(run_id, 5) as within:
            with pytest.raises(Trimmed, match=f"{run_id}: SEQ 4 to 5"):
                await behind.take(LONG_SECONDS)
            await assert_saw_all(log, run_id, await see(within, 10), after=0)


async def test_a_log_gap_is_no_trimming(redis_server: RedisServer, log: Log) -> None:
    run_id = new_run_id()
    await say(log, run_id, 1, "item_delta", "item_delta")
    async with running_hub(redis_server) as hub:
        with hub.follow(run_id, 0) as follower, hub.follow(run_id, 2) as ahead:
            await settled(hub, run_id)
            gap = encode(speaker(run_id), 1, "log_gap", AT, LogGap(from_=3, to=8))
            await log.redis.xadd(log_key(run_id), {"type": "log_gap", "event": gap}, id="9-1001")
            for each in (follower, ahead):
                assert (await see(each, 9))[-1].seq == 9


async def test_many_runs_at_once(redis_server: RedisServer, log: Log) -> None:
    runs = [new_run_id() for _ in range(100)]

    async def write(run_id: str) -> None:
        for number in range(1, 11):
            await say(log, run_id, number)

    async def watch(hub: Hub, run_id: str) -> None:
        with hub.follow(run_id, 0) as follower:
            assert [entry.seq for entry in await see(follower, 10)] == list(range(1, 11))

    async with running_hub(redis_server) as hub:
        with hub.follow(runs[0], 0):
            await settled(hub, runs[0])
        tasks_before = len(asyncio.all_tasks())
        await asyncio.gather(*(watch(hub, run_id) for run_id in runs), *(write(run_id) for run_id in runs))
        assert hub.watched == {}
        assert len(asyncio.all_tasks()) == tasks_before


async def test_close_wakes_everybody_also_who_is_about_to_wait(redis_server: RedisServer) -> None:
    run_id = new_run_id()
    async with proxy_to(redis_server.port) as proxy, running_hub(redis_server, url=proxy.url) as hub:
        with hub.follow(run_id, 0) as waiting, hub.follow(run_id, 0) as asking:
            await until(lambda: hub._rings[run_id].base)
            asking.ring.base, base = None, asking.ring.base  # as before the hub knew the log's end
            held, go = proxy.hold(b"\r\nXRANGE\r\n")
            second = asyncio.create_task(asking.take(LONG_SECONDS))
            await held.wait()
            asking.ring.base = base
            first = asyncio.create_task(waiting.take(LONG_SECONDS))
            await until(lambda: len(waiting.ring.listeners) == 2)
            hub.close()
            go.set()
            assert not any(await asyncio.wait_for(asyncio.gather(first, second), SOON_SECONDS))
            assert hub.closed


async def test_a_follower_that_is_cancelled_leaves_nothing_behind(redis_server: RedisServer) -> None:
    run_id = new_run_id()
    async with running_hub(redis_server) as hub:
        with hub.follow(run_id, 0) as follower:
            await settled(hub, run_id)
            taking = asyncio.create_task(follower.take(LONG_SECONDS))
            await until(lambda: hub._rings[run_id].listeners)
            taking.cancel()
            await asyncio.wait((taking,))
            assert taking.cancelled()
            assert not await follower.take(0)
            assert not hub._rings[run_id].listeners


async def test_a_hub_that_ends_leaves_no_task_and_no_connection_behind(redis_server: RedisServer, log: Log) -> None:
    before, clients = asyncio.all_tasks(), len(await log.redis.client_list())
    async with running_hub(redis_server) as hub:
        with hub.follow(new_run_id(), 0) as follower:
            assert not await follower.take(0.05)
    assert asyncio.all_tasks() == before
    await until(lambda: _clients(log, clients))


async def _clients(log: Log, count: int) -> bool:
    return len(await log.redis.client_list()) == count


async def test_a_hub_starts_before_redis_does(redis_server: RedisServer, log: Log) -> None:
    run_id = new_run_id()
    await say(log, run_id, 1, *["item_delta"] * 3)
    async with connected(redis_server.url) as redis, connected(redis_server.url, blocking=True) as blocking:
        hub = Hub(Log(redis), blocking)
        async with redis_server.killed(), beside(hub.run()):
            with hub.follow(run_id, 0) as follower, pytest.raises(RedisGone):
                await follower.take(LONG_SECONDS)
        async with beside(hub.run()):
            with hub.follow(run_id, 0) as follower:
                await assert_saw_all(log, run_id, await see(follower, 3))
