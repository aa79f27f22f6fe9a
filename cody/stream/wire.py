"""A connection to Redis without redis-py's client on the way: what is asked is written at once, and the answer told.

By the client, a command takes three times as many steps (its pool, its tries, its figures), which is most of what an
event that comes alone costs. redis-py still makes the connection, by all that a URL may say, and closes it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

import hiredis
from hiredis import PushNotification, Reader
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, RedisError

_pack: Callable[[Sequence[str | int | bytes]], bytes] = cast("Any", hiredis).pack_command  # typed for one argument
_MORE: Any = object()
"""There is no whole answer yet."""


class Wire(asyncio.Protocol):
    """One connection; commands may follow on each other before they are answered."""

    def __init__(self, connection: Any, pool: Any) -> None:
        """`connection` is one of the pool's that is connected."""
        self._connection = connection
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        read_error = connection._get_parser().parse_error  # noqa: SLF001  # redis-py has no door to it
        self._reader = Reader(protocolError=InvalidResponse, replyError=read_error, notEnoughData=_MORE)
        self._asked: deque[asyncio.Future[Any]] = deque()
        self._transport: Any = connection._writer.transport  # noqa: SLF001  # nor to this
        self._before: Any = self._transport.get_protocol()
        self._transport.set_protocol(self)

    @classmethod
    async def open(cls, redis: Redis) -> "Wire":
        """Take a connection of this client's pool, until `aclose`. Raises RedisGone."""
        pool: Any = redis.connection_pool
        return cls(await pool.get_connection(), pool)

    @property
    def is_lost(self) -> bool:
        """Whether nothing can be asked any more."""
        return self._transport.is_closing()

    def ask(self, *command: str | int | bytes) -> "asyncio.Future[Any]":
        """Send a command; its answer is as it came. Raises the RedisError that Redis answers, or that it is gone.

        Who does not wait for the answer any more may just go: it is dropped when it comes.
        """
        answer: asyncio.Future[Any] = self._loop.create_future()
        if self.is_lost:
            answer.set_exception(_lost())
        else:
            self._asked.append(answer)
            self._transport.write(_pack(command))
        return answer

    async def aclose(self, reason: RedisError | None = None) -> None:
        """Close it, and give it back; whoever waits for an answer is told the reason."""
        self._fail(reason or _lost())
        await self._connection.disconnect(nowait=True)
        await self._pool.release(self._connection)

    def data_received(self, data: bytes) -> None:
        """Some of the answers."""
        self._reader.feed(data)
        while (said := self._reader.gets()) is not _MORE:
            if isinstance(said, PushNotification):
                continue
            answer = self._asked.popleft()
            if answer.done():
                continue
            if isinstance(said, RedisError):
                answer.set_exception(said)
            else:
                answer.set_result(said)

    def connection_lost(self, exc: Exception | None) -> None:
        """There will be no more answers. redis-py is told, as it waits for this when it closes the connection."""
        self._fail(_lost())
        self._before.connection_lost(exc)

    def _fail(self, reason: RedisError) -> None:
        while self._asked:
            answer = self._asked.popleft()
            if not answer.done():
                answer.set_exception(reason)


class Wires:
    """One wire at a time, which is made when it is needed, and again after it was lost."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._wire: Wire | None = None
        self._making = asyncio.Lock()

    async def ask(self, *command: str | int | bytes) -> Any:
        """As `Wire.ask`."""
        wire = self._wire
        if wire is None or wire.is_lost:
            wire = await self._made()
        return await wire.ask(*command)

    async def aclose(self, reason: RedisError | None = None) -> None:
        """Close the wire; another one is made when there is something to ask."""
        wire, self._wire = self._wire, None
        if wire is not None:
            await wire.aclose(reason)

    async def _made(self) -> Wire:
        async with self._making:
            if self._wire is None or self._wire.is_lost:
                await self.aclose()
                self._wire = await Wire.open(self._redis)
            return self._wire


def _lost() -> RedisConnectionError:
    return RedisConnectionError("the connection was lost")
