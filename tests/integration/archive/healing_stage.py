"""What tests of healing are made of: a run with a Redis of its own that can lose things, and workers that write."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cody.archive.healing import HealingLog, HealingPatience
from cody.contract.lifecycle import RunStatus
from cody.contract.payloads import Payload, RunChanged, RunCompleted, Warned
from cody.store import Store, Word
from cody.stream.connection import AsyncRedis
from cody.stream.ends import append_lifecycle
from cody.stream.entry import Entry
from cody.stream.keys import fence_key, log_key
from cody.stream.log import Appended
from tests.integration.store.store_stage import a_run, begin, change
from tests.integration.stream.stream_stage import AT, events, speaker, whole
from tests.parts import RedisServer, connected, running_redis

AT_ONCE = HealingPatience(lossy_seconds=0, unsure_seconds=0)

_PAYLOADS: dict[str, Payload] = {
    "run_completed": RunCompleted(reason="completion"),
    "warning": Warned(code="illegal_signal", message="not now"),
}

Told = tuple[int, int, str, bytes]


def told(entries: Sequence[Entry]) -> list[Told]:
    return [(entry.seq, entry.epoch, entry.type, entry.event) for entry in entries]


@dataclass
class Stage:
    """A run whose log is written to as its workflow and its attempts do."""

    store: Store
    server: RedisServer
    redis: AsyncRedis
    run_id: str
    number: int = 0
    numbers: dict[int, int] = field(default_factory=dict[int, int])

    def worker(self, patience: HealingPatience = AT_ONCE) -> HealingLog:
        """Another process that writes."""
        return HealingLog(self.redis, self.store, patience)

    async def record(self, log: HealingLog, type_: str, status: RunStatus = "running") -> None:
        """What the run says: the store first, then the log."""
        await self.keep(type_, status)
        await self.say_again(log, type_)

    async def say_again(self, log: HealingLog, type_: str) -> None:
        """What the run said last goes to the log, though it may be there."""
        await append_lifecycle(log, speaker(self.run_id), self.number, [(type_, AT, _payload(type_))])

    async def keep(self, type_: str, status: RunStatus = "running") -> None:
        """Only the store has it yet."""
        self.number += 1
        word = Word(self.number, type_, AT, _payload(type_).model_dump(mode="json"))
        await self.store.runs.record(change(self.run_id, self.number, status, words=[word]))

    async def claim(self, turn: int = 1, attempt: int = 1) -> None:
        assert await self.store.turns.claim(self.run_id, turn, attempt, "owner", "prompt")

    async def say(self, log: HealingLog, *types: str, turn: int = 1, attempt: int = 1) -> Appended:
        who = speaker(self.run_id, turn, attempt)
        first = self.numbers.get(who.epoch, 0) + 1
        done = await log.append(self.run_id, who.epoch, first, events(who, first, types))
        self.numbers[who.epoch] = first + len(types) - 1
        return done

    async def read(self) -> list[Told]:
        return told(await whole(self.worker(), self.run_id))

    async def lose_all(self) -> None:
        await self.redis.flushall()

    async def photograph(self) -> tuple[bytes | None, bytes | None]:
        """What the append-only file has of the log by now."""
        return await self.redis.dump(log_key(self.run_id)), await self.redis.dump(fence_key(self.run_id))

    async def roll_back(self, photograph: tuple[bytes | None, bytes | None]) -> None:
        """Redis was killed and has come back with what its file had: its run id is another one."""
        for key, value in zip((log_key(self.run_id), fence_key(self.run_id)), photograph, strict=True):
            await self.redis.delete(key)
            if value is not None:
                await self.redis.restore(key, 0, value)
        await self.redis.hset(fence_key(self.run_id), "home", "an older one")


def _payload(type_: str) -> Payload:
    return _PAYLOADS.get(type_, RunChanged())


@asynccontextmanager
async def staged(store: Store, folder: Path) -> AsyncGenerator[Stage]:
    """A stage, with a server of its own."""
    with running_redis(folder) as server:
        async with connected(server.url) as redis:
            yield Stage(store, server, redis, await begin(store, a_run(), "queued"))
