"""The connection to Redis, with its biting defaults turned round (see the findings on redis-py 8)."""

from typing import Any, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

__all__ = ["BLOCK_MS", "AsyncRedis", "RedisError", "RedisGone", "connect"]

AsyncRedis = Redis
RedisGone = (RedisConnectionError, RedisTimeoutError, ConnectionError)
"""Redis is away, or the connection broke: worth trying again, as everything we send may be sent twice."""

BLOCK_MS = 5000
"""Longest that one blocking read waits on the server."""


def connect(url: str, *, blocking: bool = False, connections: int = 50) -> Redis:
    """A client for one event loop; `blocking` is for a connection that waits in XREAD.

    Three quick retries bridge a dropped connection: all our calls are reads or the append, which knows what it has.
    A blocking connection is never silently replaced, as its owner unblocks it by its id.
    """
    options: dict[str, Any] = {
        "protocol": 3,
        "decode_responses": False,
        "socket_connect_timeout": 2.0,
        "socket_timeout": BLOCK_MS / 1000 + 5 if blocking else 5.0,
        "socket_keepalive": True,
        "health_check_interval": 0 if blocking else 30,
        "max_connections": connections,
        "retry": Retry(NoBackoff(), 0) if blocking else Retry(ExponentialBackoff(cap=0.2, base=0.02), 3),
        "retry_on_error": [RedisConnectionError, RedisTimeoutError],
    }
    return cast("Redis", cast("Any", Redis).from_url(url, **options))
