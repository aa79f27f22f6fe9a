"""One run's log: append to it behind the fence, and read it by SEQ."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from hashlib import sha1
from pathlib import Path
from typing import Any, Literal, cast, get_args

from redis.exceptions import NoScriptError
from redis.exceptions import TimeoutError as RedisTimeoutError

from cody.contract.cursor import LAST_EPOCH
from cody.metrics import appended, expect_outcomes
from cody.stream.connection import AsyncRedis, RedisError, nodes
from cody.stream.entry import Entry
from cody.stream.keys import HEALTH_KEY, fence_key, log_key, salvage_key

Outcome = Literal["ok", "fenced", "ended", "terminal", "hole", "taken", "open", "unsure", "lease"]
expect_outcomes(get_args(Outcome))

_SCRIPT = (Path(__file__).parent / "append.lua").read_text()
_SHA = sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()
_SEAL = """
if tonumber(ARGV[1]) > tonumber(redis.call('HGET', KEYS[1], 'sealed') or '0') then
  redis.call('HSET', KEYS[1], 'sealed', ARGV[1])
end
return tonumber(redis.call('HGET', KEYS[1], 'epoch') or '0') < tonumber(ARGV[1]) and 1 or 0
"""
_SETTLE = """
local books = redis.call('HMGET', KEYS[1], 'epoch', 'ended', 'sealed')
if books[1] ~= ARGV[1] or books[2] ~= ARGV[1] then return 0 end
if tonumber(ARGV[2]) > tonumber(books[3] or '0') then redis.call('HSET', KEYS[1], 'sealed', ARGV[2]) end
return 1
"""
_SAW = """
if tonumber(ARGV[1]) > tonumber(redis.call('HGET', KEYS[1], 'seen') or '0') then
  redis.call('HSET', KEYS[1], 'seen', ARGV[1])
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
"""
HEALTH_SECONDS = 60
SALVAGE_SECONDS = 3600
BOOKS_SECONDS = 7 * 86400


@dataclass(frozen=True)
class Appended:
    """What the append did: how many events are new in the log, its last SEQ, and the newest epoch."""

    outcome: Outcome
    count: int
    seq: int
    epoch: int


@dataclass(frozen=True)
class Fence:
    """The books of a log: who may write, and what came last. All zero for a run without a log."""

    seq: int = 0
    epoch: int = 0
    number: int = 0
    lifecycle: int = 0
    ended: int = 0
    done: int = 0
    terminal: int = 0
    sealed: int = 0


_BOOKS = [field.name for field in fields(Fence)]


def saw(run_id: str, seq: int) -> tuple[str | int, ...]:
    """The command for `Log.saw`."""
    return ("EVAL", _SAW, 1, salvage_key(run_id), seq, SALVAGE_SECONDS)


class Log:
    """The logs of all runs on one Redis, which is taken at its word."""

    first_lease = 0
    """For a log that is not: the SEQ up to which a new run's may grow before the store is asked."""

    def __init__(self, redis: AsyncRedis) -> None:
        self.redis = redis
        self._any: Any = redis  # redis-py's commands are typed for sync and async at once

    async def ping(self) -> None:
        """Raise a RedisError if Redis does not answer."""
        await self._any.ping()

    async def touch(self) -> None:
        """Write a key that expires; raises a RedisError if Redis is away, read-only, full, or cannot save to disk."""
        for node in await nodes(self.redis):  # each of a cluster
            await self._any.set(f"{HEALTH_KEY}{node.tag}", 1, ex=HEALTH_SECONDS)

    async def unblock(self, client_id: int) -> None:
        """Let a blocking read of another connection return at once."""
        await self._any.client_unblock(client_id)

    def begins(self, run_id: str, epoch: int) -> None:
        """An attempt of this process may write from now on. Nothing to a log that is taken at its word."""

    def held(self, run_id: str, epoch: int, types: Collection[str]) -> Sequence[Entry]:
        """Entries of these types that this process has appended in the attempt's name, and holds against their loss."""
        return ()

    async def append(
        self, run_id: str, epoch: int, first: int, events: Sequence[tuple[str, bytes]], *, whole: bool = False
    ) -> Appended:
        """Append (type, JSON) pairs numbered from `first` as the writer of `epoch`; 0 is the run itself.

        What this writer appended before is skipped; where it is `whole` or nothing, such a number is `taken`.
        """
        began = time.perf_counter()
        types = _lines([type_.encode() for type_, _ in events])
        said = _lines([event for _, event in events])
        call = (2, log_key(run_id), fence_key(run_id), epoch, first, int(whole), self.first_lease, types, said)
        try:
            reply = await self._any.straight("EVALSHA", _SHA, *call)
        except RedisTimeoutError:
            raise
        except RedisError:  # a lost connection, a slot that has moved, …: once more by the client, who knows them all
            reply = await self._run(call)
        outcome, count, seq, newest = cast("tuple[bytes, int, int, int]", reply)
        done = Appended(cast("Outcome", outcome.decode()), count, seq, newest)
        appended(time.perf_counter() - began, done.outcome, events, done.count)
        return done

    async def _run(self, call: Sequence[Any]) -> Any:
        try:
            return await self._any.evalsha(_SHA, *call)
        except NoScriptError:  # not SCRIPT LOAD and once more: a Redis that restarts in between has forgotten it again
            return await self._any.eval(_SCRIPT, *call)

    async def seal(self, run_id: str, epoch: int) -> bool:
        """Let no attempt up to this epoch write any more, but for its end in its name (`whole`).

        Whether that attempt has never written, and so never will.
        """
        return bool(await self._any.eval(_SEAL, 1, fence_key(run_id), epoch))

    async def trim(self, run_id: str, seq: int, *, forget: bool) -> None:
        """Let go of entries up to `seq`; `forget` lets go of the log. The books of a run that ended stay a while, so
        that an attempt of it that wakes up late is still refused.
        """
        if forget:
            await self._any.delete(log_key(run_id))
            await self._any.expire(fence_key(run_id), BOOKS_SECONDS)
        else:
            await self._any.xtrim(log_key(run_id), minid=f"{seq + 1}-0", approximate=False)

    async def saw(self, run_id: str, seq: int) -> None:
        """A reader has seen this SEQ: who mends the log, should it be lost, knows that it was handed out."""
        await self._any.execute_command(*saw(run_id, seq))

    async def settle(self, run_id: str, done: int, epoch: int) -> bool:
        """Seal up to `epoch` if the attempt `done` is the newest that wrote, and has its end; False changes nothing."""
        return bool(await self._any.eval(_SETTLE, 1, fence_key(run_id), done, epoch))

    async def fence(self, run_id: str) -> Fence:
        """The books of the run's log."""
        raw = cast("dict[bytes, bytes]", await self._any.hgetall(fence_key(run_id)))
        return Fence(**{name: int(raw[name.encode()]) for name in _BOOKS if name.encode() in raw})

    async def after(self, run_id: str, seq: int, count: int = 1000) -> list[Entry]:
        """At most `count` entries above `seq`, in order."""
        return _entries(await self.redis.xrange(log_key(run_id), min=f"{seq + 1}-0", count=count))

    async def at(self, run_id: str, seq: int) -> Entry | None:
        """The entry of this SEQ, if Redis has it."""
        found = await self.redis.xrange(log_key(run_id), min=f"{seq}-0", max=f"{seq}-{LAST_EPOCH}", count=1)
        return next(iter(_entries(found)), None)

    async def first(self, run_id: str) -> Entry | None:
        """The oldest entry that Redis has."""
        return next(iter(_entries(await self.redis.xrange(log_key(run_id), count=1))), None)

    async def last(self, run_id: str) -> Entry | None:
        """The newest entry."""
        return next(iter(_entries(await self.redis.xrevrange(log_key(run_id), count=1))), None)


def _lines(parts: Sequence[bytes]) -> bytes:
    """Each with a line end after it, as the script takes them apart; ValueError if one holds a line end itself."""
    text = b"\n".join((*parts, b""))
    if text.count(b"\n") != len(parts):
        raise ValueError("an event is one line")
    return text


def _entries(found: Any) -> list[Entry]:
    return [Entry.of(entry_id, fields) for entry_id, fields in found]
