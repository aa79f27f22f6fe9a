"""A stream's answer on a real hub: what happens to it when its client cannot be written to, or reads slowly."""

import asyncio
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from api.deadlines import Deadlines
from api.event_stream import KEEPALIVE, EventStream
from api.standing import Wish
from api.state import Door
from cody.contract.cursor import START
from cody.stream.hub import Hub
from tests.integration.stream.hub_stage import running_hub
from tests.integration.stream.stream_stage import say
from tests.parts import RedisServer, new_run_id, until


class Client:
    """The server's side of a connection, as a stream sees it."""

    def __init__(self) -> None:
        self.got = b""
        self.room = asyncio.Event()
        self.room.set()
        self.gone = asyncio.Event()
        self.broken = False

    async def receive(self) -> Any:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        await self.room.wait()
        if self.broken:
            raise RuntimeError("the answer is broken")
        self.got += message.get("body", b"")
        if message["type"] == "http.response.body" and not message["more_body"]:
            self.gone.set()

    def ids(self) -> list[int]:
        return [int(line[4:].split(b"-")[0]) for line in self.got.splitlines() if line.startswith(b"id: ")]


@pytest.fixture
async def hub(redis_server: RedisServer) -> AsyncGenerator[Hub]:
    async with running_hub(redis_server) as hub:
        yield hub


def stream(hub: Hub, run_id: str, silence_seconds: float = 3600) -> EventStream:
    parts = SimpleNamespace(hub=hub, log=hub.log, silence=Deadlines(silence_seconds), lifetime=Deadlines(3600))
    return EventStream(Wish(run_id, START, None, heal=False), cast("Door", parts), 0)


async def two_clients(hub: Hub, run_id: str) -> tuple[list[Client], list[asyncio.Task[None]]]:
    """Two that have seen the first entry of a run, and their answers."""
    clients = [Client(), Client()]
    answers = [asyncio.create_task(stream(hub, run_id)(each.receive, each.send)) for each in clients]
    await say(hub.log, run_id, 1)
    await until(lambda: [each.ids() for each in clients] == [[1], [1]])
    return clients, answers


async def test_an_answer_that_breaks_fails_alone(hub: Hub):
    run_id = new_run_id()
    (client, other), answers = await two_clients(hub, run_id)
    client.broken = True
    await say(hub.log, run_id, 2)
    with pytest.raises(RuntimeError, match="the answer is broken"):
        await answers[0]
    await say(hub.log, run_id, 3)
    await until(lambda: other.ids() == [1, 2, 3])
    assert client.ids() == [1]
    other.gone.set()
    await answers[1]
    assert hub.watched == {}


async def test_who_reads_slowly_gets_all_and_holds_up_nobody(hub: Hub):
    run_id = new_run_id()
    (slow, quick), answers = await two_clients(hub, run_id)
    slow.room.clear()
    for number in range(2, 12):
        await say(hub.log, run_id, number)
    await until(lambda: quick.ids() == list(range(1, 12)))
    assert slow.ids() == [1]
    slow.room.set()
    await until(lambda: slow.ids() == list(range(1, 12)))
    for client in (slow, quick):
        client.gone.set()
    await asyncio.gather(*answers)


async def test_a_client_that_goes_while_it_is_being_written_to_leaves_nothing(hub: Hub):
    run_id = new_run_id()
    client = Client()
    answer = asyncio.create_task(stream(hub, run_id)(client.receive, client.send))
    await say(hub.log, run_id, 1)
    await until(lambda: client.ids() == [1])
    before = asyncio.all_tasks()
    client.room.clear()
    await say(hub.log, run_id, 2)
    await until(lambda: asyncio.all_tasks() - before)
    client.gone.set()
    await answer
    await until(lambda: not asyncio.all_tasks() - before)
    assert hub.watched == {}


async def test_silence_is_broken_again_and_again(hub: Hub):
    client = Client()
    answer = asyncio.create_task(stream(hub, new_run_id(), silence_seconds=0.02)(client.receive, client.send))
    await until(lambda: client.got.count(KEEPALIVE) >= 3)
    assert client.got == KEEPALIVE * client.got.count(KEEPALIVE)
    client.gone.set()
    await answer
