"""What Redis is told where a log is put together again: what comes back, and that all of it is there.

Until the last of it, every careful append is answered `unsure`. Any number of workers may mend at once: what one adds
has to follow on what it has read, so whoever comes second reads again.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast
from uuid import uuid4

from cody.stream.connection import AsyncRedis, Place, RedisGone, node_of, nodes
from cody.stream.entry import Entry
from cody.stream.keys import fence_key, log_key, salvage_key
from cody.stream.log import SALVAGE_SECONDS, Fence

_HERE = "local here = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')\n"
_IS_SOUND = _HERE + "return redis.call('HGET', KEYS[1], 'home') == here and 1 or 0"
_INCARNATION = _HERE + "redis.call('SET', KEYS[1], ARGV[1], 'NX')\nreturn here .. ' ' .. redis.call('GET', KEYS[1])"
# KEYS 1 the log, 2 the fence, 3 the salvage; ARGV 1 the SEQ that the books are at, 2 '1' if this makes the log sound,
# 3 how many of the books' fields and values follow, then those, then id, type, event of each entry.
_MEND = (
    _HERE
    + """
if redis.call('HGET', KEYS[2], 'home') == here then return 0 end
if tonumber(redis.call('HGET', KEYS[2], 'seq') or '0') ~= tonumber(ARGV[1]) then return 0 end
local books = tonumber(ARGV[3])
for place = 4 + books, #ARGV, 3 do
  redis.call('XADD', KEYS[1], ARGV[place], 'type', ARGV[place + 1], 'event', ARGV[place + 2])
end
for place = 4, 3 + books, 2 do redis.call('HSET', KEYS[2], ARGV[place], ARGV[place + 1]) end
redis.call('PERSIST', KEYS[2])
if ARGV[2] == '1' then
  redis.call('HSET', KEYS[2], 'home', here)
  redis.call('DEL', KEYS[3])
end
return 1
"""
)
_BRING = (
    _HERE
    + """
if redis.call('HGET', KEYS[1], 'home') == here then return 0 end
for place = 2, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[place], ARGV[place + 1]) end
redis.call('EXPIRE', KEYS[2], ARGV[1])
return 1
"""
)
_LEND = """
if tonumber(ARGV[1]) > tonumber(redis.call('HGET', KEYS[1], 'lease') or '0') then
  redis.call('HSET', KEYS[1], 'lease', ARGV[1])
end
"""
_BATCH = 500
_INCARNATION_KEY = "codex:incarnation"


@dataclass(frozen=True)
class Salvage:
    """What was brought of a log: entries by SEQ, attempts (by epoch) that are all there, the SEQ a reader saw last."""

    entries: Mapping[int, Entry]
    told: frozenset[int] = frozenset()
    seen: int = 0
    emptied: bool = False
    """Redis had kept nothing of the log."""


class Mending:
    """Mends the logs of one Redis, or of a cluster."""

    def __init__(self, redis: AsyncRedis) -> None:
        self._redis: Any = redis  # redis-py's commands are typed for sync and async at once

    async def is_sound(self, run_id: str) -> bool:
        """Whether this Redis is known to have all that the run's log said."""
        return bool(await self._redis.eval(_IS_SOUND, 1, fence_key(run_id)))

    async def incarnations(self) -> dict[str, str]:
        """By node: another one than before where it may have lost something, as it was started again, or emptied; or
        where it has got other slots, as what came with them was not said here. Nodes that are away are left out.
        """
        places = await nodes(self._redis)
        found = await asyncio.gather(*(self._incarnation(place) for place in places))
        return {place.name: said for place, said in zip(places, found, strict=True) if said is not None}

    async def _incarnation(self, place: Place) -> str | None:
        key = f"{_INCARNATION_KEY}{place.tag}"
        try:
            said = cast("bytes", await self._redis.eval(_INCARNATION, 1, key, uuid4().hex))
        except RedisGone:
            return None
        return f"{said.decode()} {place.slots}"

    def node_of(self, run_id: str) -> str:
        """Which of them has the run's log."""
        return node_of(self._redis, log_key(run_id))

    async def bring(self, run_id: str, entries: Sequence[Entry], told: Iterable[int], *, emptied: bool) -> None:
        """Add to the salvage; `emptied` if Redis has nothing of the log."""
        fields: list[str | int | bytes] = [part for epoch in told for part in (f"told:{epoch}", b"")]
        if emptied:
            fields += ["emptied", b""]
        for entry in entries:
            fields += [entry.seq, b"%d %s %s" % (entry.epoch, entry.type.encode(), entry.event)]
        for first in range(0, len(fields), 2 * _BATCH):
            await self._bring(run_id, fields[first : first + 2 * _BATCH])

    async def _bring(self, run_id: str, fields: Sequence[str | int | bytes]) -> None:
        await self._redis.eval(_BRING, 2, fence_key(run_id), salvage_key(run_id), SALVAGE_SECONDS, *fields)

    async def salvage(self, run_id: str) -> Salvage:
        """What was brought so far."""
        found = cast("dict[bytes, bytes]", await self._redis.hgetall(salvage_key(run_id)))
        entries: dict[int, Entry] = {}
        told: set[int] = set()
        seen, emptied = int(found.pop(b"seen", 0)), found.pop(b"emptied", None) is not None
        for field, value in found.items():
            if field.startswith(b"told:"):
                told.add(int(field[5:]))
                continue
            epoch, type_, event = value.split(b" ", 2)
            entries[int(field)] = Entry(int(field), int(epoch), type_.decode(), event)
        return Salvage(entries, frozenset(told), seen, emptied)

    async def begin(self, run_id: str, books: Fence, base: Fence) -> bool:
        """Put the books forward to `base`, where all that is older is archived."""
        return await self._mend(run_id, books.seq, base, ())

    async def add(self, run_id: str, books: Sequence[tuple[Fence, Entry]], start: int) -> bool:
        """Add entries from SEQ `start` + 1 on, each with what the books say after it; False if somebody else did."""
        for first in range(0, len(books), _BATCH):
            batch = books[first : first + _BATCH]
            if not await self._mend(run_id, start, batch[-1][0], [entry for _, entry in batch]):
                return False
            start = batch[-1][0].seq
        return True

    async def finish(self, run_id: str, books: Fence) -> bool:
        """Nothing is missing any more: whoever waits may append."""
        return await self._mend(run_id, books.seq, books, (), sound=True)

    async def lend(self, run_id: str, lease: int) -> None:
        """SEQs up to `lease` may be handed out."""
        await self._redis.eval(_LEND, 1, fence_key(run_id), lease)

    async def _mend(
        self, run_id: str, seq: int, books: Fence, entries: Sequence[Entry], *, sound: bool = False
    ) -> bool:
        kept = [part for pair in asdict(books).items() for part in pair]
        call: list[Any] = [
            3,
            log_key(run_id),
            fence_key(run_id),
            salvage_key(run_id),
            seq,
            int(sound),
            len(kept),
            *kept,
        ]
        for entry in entries:
            call += [str(entry.cursor), entry.type, entry.event]
        return bool(await self._redis.eval(_MEND, *call))
