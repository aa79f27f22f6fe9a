"""Losses at any point, with workers that live or die: no SEQ says two things, and silence is never the answer."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cody.archive.healing import HealingLog, HealingPatience
from cody.contract.events import parse
from cody.contract.payloads import LogGap
from cody.store import Store
from cody.stream.entry import Entry
from tests.integration.archive.healing_stage import Stage
from tests.integration.store.store_stage import a_run, begin
from tests.integration.stream.stream_stage import assert_lawful, told, whole
from tests.parts import RedisServer, connected, running_redis

SOON = HealingPatience(lossy_seconds=0.3, unsure_seconds=0.3)
LATE = HealingPatience(lossy_seconds=60, unsure_seconds=60)
"""Where nobody dies, nobody is to be given up."""
STEPS = st.lists(
    st.sampled_from(["say", "say", "say", "word", "take over", "photograph", "roll back", "lose", "die"]),
    min_size=3,
    max_size=16,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("lossy")) as made:
        yield made


class Play:
    """Two workers take attempts at one turn in turns, a client reads along, and Redis forgets."""

    def __init__(self, stage: Stage, patience: HealingPatience) -> None:
        self.stage = stage
        self.patience = patience
        self.workers = [stage.worker(patience), stage.worker(patience)]
        self.attempt = 0
        self.seen: dict[int, Entry] = {}
        self.photograph: tuple[bytes | None, bytes | None] | None = None

    @property
    def writer(self) -> HealingLog:
        return self.workers[self.attempt % 2]

    async def step(self, name: str) -> None:
        await getattr(self, f"_{name.replace(' ', '_')}")()
        await self.read()

    async def read(self) -> None:
        after = max(self.seen, default=0)
        while entries := await self.workers[0].after(self.stage.run_id, after):
            self.seen.update((entry.seq, entry) for entry in entries)
            after = entries[-1].seq

    async def _say(self) -> None:
        done = await self.stage.say(self.writer, "item_delta", "item_delta", attempt=self.attempt)
        if done.outcome != "ok":
            await self._take_over()

    async def _word(self) -> None:
        await self.stage.record(self.workers[1], "warning")

    async def _take_over(self) -> None:
        self.attempt += 1
        await self.stage.claim(attempt=self.attempt)
        await self.stage.say(self.writer, "turn_started", attempt=self.attempt)

    async def _photograph(self) -> None:
        self.photograph = await self.stage.photograph()

    async def _roll_back(self) -> None:
        if self.photograph is not None:
            await self.stage.roll_back(self.photograph)
            await self._heal()

    async def _lose(self) -> None:
        self.photograph = None
        await self.stage.lose_all()
        await self._heal()

    async def _die(self) -> None:
        """The worker that writes: what it held is gone, and Redis loses something at the same moment."""
        self.workers[self.attempt % 2] = self.stage.worker(self.patience)
        await (self._roll_back() if self.photograph is not None else self._lose())
        await self._take_over()

    async def _heal(self) -> None:
        """As the API tells of what its client has seen, and each worker's healer goes round."""
        await self.workers[0].saw(self.stage.run_id, max(self.seen, default=0))
        await asyncio.gather(*(worker.heal(self.stage.run_id) for worker in self.workers))

    async def check(self) -> None:
        entries = await whole(self.workers[0], self.stage.run_id)
        if self.patience == LATE:
            assert_lawful(entries)
        gone: set[int] = set()
        for entry in entries:
            if entry.type == "log_gap":
                payload = parse(entry.type, entry.event).payload
                assert isinstance(payload, LogGap)
                gone |= set(range(payload.from_, payload.to + 1))
        now = {entry.seq: entry for entry in entries}
        assert now.keys() | gone == set(range(1, entries[-1].seq + 1))
        for seq, entry in self.seen.items():
            assert seq in gone or (now[seq].epoch, now[seq].event) == (entry.epoch, entry.event)
        ids = [told(entry)["event_id"] for entry in entries]
        assert len(ids) == len(set(ids))


@asynccontextmanager
async def played(server: RedisServer, folder: Path, patience: HealingPatience) -> AsyncGenerator[Play]:
    store = Store(f"sqlite:///{folder / 'cody.db'}")
    await store.open()
    async with connected(server.url) as redis:
        run_id = await begin(store, a_run(), "queued")
        yield Play(Stage(store, server, redis, run_id), patience)
    await store.close()


@settings(max_examples=8, deadline=None)
@given(steps=STEPS)
async def test_whatever_is_lost_no_seq_says_two_things(
    server: RedisServer, tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    patience = SOON if "die" in steps else LATE
    async with played(server, tmp_path_factory.mktemp("play"), patience) as play:
        await play.stage.record(play.workers[1], "run_started")
        await play.step("take over")
        for step in steps:
            await play.step(step)
        await play.check()
