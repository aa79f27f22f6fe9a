"""The newest entries of many logs, over one connection that waits for them."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from cody.contract.cursor import Cursor
from cody.stream.entry import Entry
from cody.stream.keys import log_key, run_of
from cody.stream.node import raise_refusal
from cody.stream.wire import Wire

_ANSWER_SECONDS = 5.0
"""For an answer, beyond what it may wait for entries."""


class Tail:
    """A connection that is made when it is needed, and again after it broke."""

    def __init__(self, redis: Redis) -> None:
        """`redis` is a client that nobody else uses."""
        self._redis = redis
        self._wire: Wire | None = None
        self.client_id: int | None = None
        """Redis's number of the connection, for `Log.unblock`; None while there is none."""

    async def read(self, cursors: Mapping[str, Cursor], count: int, block_ms: int) -> dict[str, list[Entry]]:
        """What follows these cursors, by run id, `count` of each at most; waits up to `block_ms` for the first one.

        Raises RedisGone; what came meanwhile is there when it is asked for again.
        """
        keys = [log_key(run_id) for run_id in cursors]
        places = [str(cursor) for cursor in cursors.values()]
        try:
            async with asyncio.timeout(_ANSWER_SECONDS + block_ms / 1000):
                wire = self._wire or await self._connect()
                reply = await wire.ask("XREAD", "COUNT", count, "BLOCK", block_ms, "STREAMS", *keys, *places)
        except BaseException as error:
            await self._drop()
            if isinstance(error, ResponseError):
                raise_refusal(error)
            if isinstance(error, TimeoutError):
                raise RedisTimeoutError(f"no answer to XREAD for {_ANSWER_SECONDS:g} s") from error
            raise
        found = cast("dict[bytes, Sequence[Any]]", reply or {})
        return {run_of(key): [Entry.of(*entry) for entry in entries] for key, entries in found.items()}

    async def aclose(self) -> None:
        """Close the connection."""
        await self._drop()
        await self._redis.aclose()

    async def _connect(self) -> Wire:
        self._wire = await Wire.open(self._redis)
        self.client_id = cast("int", await self._wire.ask("CLIENT", "ID"))
        return self._wire

    async def _drop(self) -> None:
        wire, self._wire, self.client_id = self._wire, None, None
        if wire is not None:
            await wire.aclose()
