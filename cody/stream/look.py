"""What Redis has of a log at one moment, as a log that is lost or healed between two questions looks like neither."""

from typing import Any, NamedTuple, cast

from cody.stream.connection import AsyncRedis
from cody.stream.entry import Entry
from cody.stream.keys import fence_key, log_key

_LOOK = """
local here = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
return {
  redis.call('HGET', KEYS[2], 'home') == here and 1 or 0,
  redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1),
  redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1], 'COUNT', 1),
  redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
}
"""


class Look(NamedTuple):
    """A log in Redis, as of one SEQ."""

    sound: bool
    """All that the log has said, and the archive does not have, is there."""
    first: Entry | None
    here: Entry | None
    """The entry of that SEQ."""
    last: Entry | None


async def look(redis: AsyncRedis, run_id: str, seq: int) -> Look:
    """Look at the log, and at the entry of `seq`."""
    reply = await cast("Any", redis).eval(_LOOK, 2, log_key(run_id), fence_key(run_id), seq)
    return Look(bool(reply[0]), *(_entry(found) for found in reply[1:]))


def _entry(found: list[tuple[bytes, list[bytes]]]) -> Entry | None:
    """A script gives an entry's fields and values in one list."""
    if not found:
        return None
    entry_id, fields = found[0]
    return Entry.of(entry_id, fields)
