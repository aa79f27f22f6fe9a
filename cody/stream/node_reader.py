"""Reads what comes to the logs of a node's runs, over one connection, as soon as the node says that they have changed.

The node tracks what was read over this connection (CLIENT TRACKING, RESP3) and pushes the name of a key when it
changes, once; the log is read again then, which has it tracked anew. What changes before a read is in its answer, what
changes after it is pushed behind the answer, so that nothing falls in between. While some reads are under way, what
changes gathers for the next ones.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from hiredis import PushNotification
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from cody.contract.cursor import Cursor
from cody.stream.cluster_url import Address
from cody.stream.entry import Entry
from cody.stream.follower import READ_COUNT
from cody.stream.keys import log_key, run_of
from cody.stream.log import saw

_AT_ONCE = 100
"""Logs that are read together."""
_ANSWER_SECONDS = 5.0
_SILENCE_SECONDS = 5.0
"""After which the node is asked whether it is there."""
_Command = tuple[str | int, ...]
_Read = tuple[str, Cursor]
"""A run, and the place after which its log was asked for."""


class Runs(Protocol):
    """Who wants to know."""

    def place(self, run_id: str) -> Cursor | None:
        """What follows this is wanted; None: nothing."""
        ...

    def changed(self, run_id: str) -> None:
        """There may be something new."""
        ...

    def emptied(self, node: Address) -> None:
        """All that is tracked there may have changed."""
        ...

    def found(self, run_id: str, asked: Cursor, entries: Sequence[Entry]) -> None:
        """What followed a place, `READ_COUNT` at most."""
        ...

    def refused(self, run_id: str, node: Address, error: ResponseError) -> None:
        """The node does not tell; nor does it track."""
        ...


class NodeReader:
    """The reader of one node; `read` is one connection's life."""

    def __init__(self, address: Address, node: Redis, runs: Runs) -> None:
        self.address = address
        self._node = node
        self._runs = runs
        self._due: dict[str, tuple[bool, bool]] = {}
        self._work = asyncio.Event()
        self._asked: deque[_Read | None] = deque()
        self._answered = asyncio.Event()

    def look(self, run_id: str, *, asking: bool = False, tell: bool = False) -> None:
        """Read this run's log; `asking` while it is on its way to this node.

        `tell` the node what was seen of it first, as it may have lost that.
        """
        told = self._due.get(run_id, (False, False))[1]
        self._due[run_id] = asking, tell or told
        self._work.set()

    async def read(self) -> None:
        """Read what is asked for until cancelled; raises RedisGone (in a group) when the connection is lost."""
        pool = self._node.connection_pool
        async with _in_time("a connection"):
            connection: Any = await pool.get_connection()
        try:
            async with _in_time("CLIENT TRACKING"):
                await self._track(connection)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._ask(connection))
                tasks.create_task(self._listen(connection))
        finally:
            self._asked.clear()
            await connection.disconnect(nowait=True)
            await pool.release(connection)

    async def _track(self, connection: Any) -> None:
        async def give(push: PushNotification) -> PushNotification:
            return push

        connection._get_parser().set_invalidation_push_handler(give)  # noqa: SLF001  # redis-py has no door to it
        await connection.send_command("CLIENT", "TRACKING", "ON", check_health=False)
        await connection.read_response()

    async def _ask(self, connection: Any) -> None:
        while True:
            asked = self._reads() if await self._has_work() else [(("PING",), None)]
            if not asked:
                continue
            if not connection.is_connected:  # it would connect anew, and nothing would be tracked
                raise RedisConnectionError("the connection was lost")
            self._asked.extend(read for _, read in asked)
            self._answered.clear()
            async with _in_time("what was asked"):
                packed = connection.pack_commands(command for command, _ in asked)
                await connection.send_packed_command(packed, check_health=False)
                await self._answered.wait()

    async def _has_work(self) -> bool:
        """False after a silence."""
        self._work.clear()
        if self._due:
            return True
        try:
            async with asyncio.timeout(_SILENCE_SECONDS):
                return await self._work.wait()
        except TimeoutError:
            return False

    def _reads(self) -> list[tuple[_Command, _Read | None]]:
        """Commands for the runs that were due first, each with the read that its answer is of, if it is."""
        asked: list[tuple[_Command, _Read | None]] = []
        for run_id in list(self._due)[:_AT_ONCE]:
            asking, tell = self._due.pop(run_id)
            place = self._runs.place(run_id)
            if place is None:
                continue
            wanted: list[tuple[_Command, _Read | None]] = []
            if tell and place.seq:
                wanted.append((saw(run_id, place.seq), None))
            span = (f"{place.seq + 1}-0", "+", "COUNT", READ_COUNT)
            wanted.append((("XRANGE", log_key(run_id), *span), (run_id, place)))
            for want in wanted:
                asked += [(("ASKING",), None), want] if asking else [want]
        return asked

    async def _listen(self, connection: Any) -> None:
        while True:
            try:
                # Pushes one by one: left to itself, redis-py calls itself anew for each of them.
                said = await connection.read_response(push_request=True)
            except ResponseError as error:
                said = error
            if isinstance(said, PushNotification):
                self._pushed(said)
                continue
            asked = self._asked.popleft()
            if asked is not None:
                self._told(*asked, said)
            if not self._asked:
                self._answered.set()

    def _pushed(self, push: Sequence[Any]) -> None:
        kind, keys = push
        if kind != b"invalidate":
            return
        if keys is None:
            self._runs.emptied(self.address)
        for key in keys or ():
            self._runs.changed(run_of(key))

    def _told(self, run_id: str, asked: Cursor, said: Any) -> None:
        if isinstance(said, ResponseError):
            self._runs.refused(run_id, self.address, said)
            return
        entries = [Entry.of(name, fields) for name, fields in said]
        self._runs.found(run_id, asked, entries)


@asynccontextmanager
async def _in_time(what: str) -> AsyncGenerator[None]:
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            yield
    except TimeoutError as error:
        raise RedisTimeoutError(f"no answer to {what} for {_ANSWER_SECONDS:g} s") from error
