"""Events a second that one bare Lua call per batch appends to a stream."""

import time

from cody.stream.connection import connect

_SCRIPT = "for i = 1, #ARGV do redis.call('XADD', KEYS[1], '*', 'type', 'item_delta', 'event', ARGV[i]) end"
_KEY = "bench:append"


async def rate(url: str, *, events: int, batch: int, event_bytes: int) -> float:
    """Events a second, in calls of `batch` events of `event_bytes`."""
    redis = connect(url)
    try:
        script = redis.register_script(_SCRIPT)
        args = [b"x" * event_bytes] * batch
        await script(keys=[_KEY], args=args)
        calls = max(1, events // batch)
        began = time.perf_counter()
        for _ in range(calls):
            await script(keys=[_KEY], args=args)
        return calls * batch / (time.perf_counter() - began)
    finally:
        await redis.delete(_KEY)
        await redis.aclose()
