"""The connection to one Redis server, with its biting defaults turned round (see the findings on redis-py 8)."""

import asyncio
from functools import cached_property
from typing import Any, cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import MasterDownError, OutOfMemoryError, ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from cody.stream.wire import Wires

RedisGone = (RedisConnectionError, RedisTimeoutError, ConnectionError)
"""Redis is away, or the connection broke: worth trying again, as everything we send may be sent twice."""

_REFUSALS = ("MISCONF", "NOREPLICAS", "BUSY")
"""How replies begin that refuse for now what is right: a full disk, a failover, a script that takes long."""
_REFUSED = (OutOfMemoryError, ReadOnlyError, MasterDownError)
"""Those that redis-py knows, and cuts the beginning off."""

_AS_THEY_COME = ("XRANGE", "XREVRANGE", "XREAD")
"""Replies that redis-py leaves alone: its dict for each entry costs more than hiredis takes to parse it."""

BLOCK_MS = 5000
"""Longest that one blocking read waits on the server."""


class RedisRefuses(RedisConnectionError):
    """Redis answers, but does not take what is sent just now."""


def raise_refusal(error: ResponseError) -> None:
    """Raise RedisRefuses if this reply refuses what another time would be taken."""
    if isinstance(error, _REFUSED) or str(error).startswith(_REFUSALS):
        raise RedisRefuses(str(error)) from error


class _Client(Redis):
    """A client where a command, with its tries, has one deadline.

    redis-py's own `socket_timeout` guards what it sends by `asyncio.wait_for`, which on Python 3.11 swallows a
    cancellation that comes at the same moment (CPython issue 86296): a task could not be ended.
    """

    deadline_seconds = 5.0

    @cached_property
    def _wires(self) -> Wires:
        return Wires(self)

    async def straight(self, *command: str | int | bytes) -> Any:
        """The answer to a command that goes by a wire. Nothing is tried again, nor any error told from another: raises
        RedisError for what `execute_command` may know to do something about, RedisTimeoutError if it is too late.
        """
        try:
            async with asyncio.timeout(self.deadline_seconds):
                return await self._wires.ask(*command)
        except TimeoutError as error:
            late = RedisTimeoutError(f"no answer to {command[0]!s} for {self.deadline_seconds:g} s")
            await self._wires.aclose(late)
            raise late from error

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await self._wires.aclose()
        await super().aclose(close_connection_pool)

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        try:
            async with asyncio.timeout(self.deadline_seconds):
                return await cast("Any", super()).execute_command(*args, **options)
        except TimeoutError as error:
            raise RedisTimeoutError(f"no answer to {args[0]} for {self.deadline_seconds:g} s") from error
        except ResponseError as error:
            raise_refusal(error)
            raise


def _unchanged(response: Any, **_kwargs: Any) -> Any:
    return response


def connect_node(url: str, *, blocking: bool = False, connections: int = 50) -> Redis:
    """A client for one event loop; `blocking` is for a connection that waits in XREAD.

    Three quick retries bridge a dropped connection: all our calls are reads or the append, which knows what it has.
    Who finds all connections in use waits for one: a crowd is no reason to say that Redis is away.
    A blocking connection is never silently replaced, as its owner unblocks it by its id.
    """
    options: dict[str, Any] = {
        "protocol": 3,
        "decode_responses": False,
        "socket_connect_timeout": 2.0,
        "socket_timeout": None,
        "health_check_interval": 0 if blocking else 30,
        "max_connections": connections,
        "timeout": None,
        "retry": Retry(NoBackoff(), 0) if blocking else Retry(ExponentialBackoff(cap=0.2, base=0.02), 3),
        "retry_on_error": [RedisConnectionError, RedisTimeoutError],
    }
    if not url.startswith("unix://"):
        options["socket_keepalive"] = True
    pool = cast("Any", BlockingConnectionPool).from_url(url, **options)
    client = cast("_Client", _Client.from_pool(pool))
    for command in _AS_THEY_COME:
        client.set_response_callback(command, _unchanged)
    if blocking:
        client.deadline_seconds += BLOCK_MS / 1000
    return client
