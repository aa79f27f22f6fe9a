"""The fence: whatever its writers do, the log is what the contract promises, and a refused call changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cody.contract.cursor import turn_and_attempt
from cody.contract.events import ATTEMPT_ENDS, TERMINAL
from cody.stream.keys import fence_key, log_key
from cody.stream.log import Fence, Log, Outcome
from tests.integration.stream.stream_stage import assert_lawful, events, place, say, speaker, whole
from tests.parts import RedisServer, connected, new_run_id

RUN = 0
WRITERS = (RUN, 1001, 1002, 2001)


class Written(NamedTuple):
    """One entry, as the model sees it."""

    epoch: int
    writer: int
    number: int
    type: str


@dataclass
class Model:
    """The fence in words of the contract: everything it knows follows from what is in the log."""

    log: list[Written] = field(default_factory=list)

    @property
    def newest(self) -> int:
        return max((entry.writer for entry in self.log), default=0)

    def known(self, writer: int) -> int:
        return max((entry.number for entry in self.log if entry.writer == writer), default=0)

    def has_ended(self, writer: int) -> bool:
        return any(entry.writer == writer and writer != RUN and entry.type in ATTEMPT_ENDS for entry in self.log)

    @property
    def done(self) -> int:
        """The turn that was completed last."""
        turns = [entry.writer // 1000 for entry in self.log if entry.writer != RUN and entry.type == "turn_completed"]
        return turns[-1] if turns else 0

    @property
    def is_over(self) -> bool:
        return any(entry.type in TERMINAL for entry in self.log)

    def append(self, writer: int, first: int, types: Sequence[str], *, whole: bool) -> tuple[Outcome, int]:
        """The verdict, and how many events are new."""
        known = self.known(writer)
        new = [(number, type_) for number, type_ in enumerate(types, first) if number > known]
        if writer != RUN and writer < self.newest:
            return "fenced", 0
        if whole and len(new) < len(types):
            return "taken", 0
        if not new:
            return "ok", 0
        if self.is_over:
            return "terminal", 0
        if self.has_ended(writer) or (writer > self.newest and writer // 1000 == self.done):
            return "ended", 0
        if first > known + 1:
            return "hole", 0
        for _, type_ in new[:-1]:
            if type_ in TERMINAL:
                return "terminal", 0
            if writer != RUN and type_ in ATTEMPT_ENDS:
                return "ended", 0
        if writer == RUN and new[-1][1] in TERMINAL and self.newest and not self.has_ended(self.newest):
            return "open", 0
        epoch = max(self.newest, writer)
        self.log.extend(Written(epoch, writer, number, type_) for number, type_ in new)
        return "ok", len(new)

    def fence(self) -> Fence:
        """The books that go with this log."""
        ends = [entry.writer for entry in self.log if entry.writer != RUN and entry.type in ATTEMPT_ENDS]
        number = self.known(self.newest) if self.newest else 0
        ended = ends[-1] if ends else 0
        return Fence(len(self.log), self.newest, number, self.known(RUN), ended, self.done, int(self.is_over))


class Call(NamedTuple):
    """An append: `shift` from where the writer stands (below 0 it overlaps, above it leaves a hole)."""

    writer: int
    shift: int
    count: int
    times: int
    whole: bool


CALLS = st.builds(
    Call,
    writer=st.sampled_from(WRITERS),
    shift=st.sampled_from([0, 0, 0, 0, -1, -2, -3, 1, 2]),
    count=st.integers(1, 4),
    times=st.sampled_from([1, 1, 2]),
    whole=st.sampled_from([False, False, True]),
)


@st.composite
def scripts(draw: st.DrawFn) -> dict[int, list[str]]:
    """What each writer says, by its number; it does not stop at its end, as a zombie would not."""
    said: dict[int, list[str]] = {}
    for writer in WRITERS:
        said[writer] = ["item_delta" if writer else "warning"] * 40
        ends = sorted(ATTEMPT_ENDS if writer else TERMINAL)
        if (end := draw(st.none() | st.integers(0, 12))) is not None:
            said[writer][end] = draw(st.sampled_from(ends))
    return said


async def books(log: Log, run_id: str) -> tuple[object, object]:
    """All that Redis keeps for the run, byte for byte."""
    redis = log.redis
    return await redis.xrange(log_key(run_id)), await redis.hgetall(fence_key(run_id))


@settings(max_examples=150, deadline=None)
@given(said=scripts(), calls=st.lists(CALLS, min_size=1, max_size=25))
async def test_any_interleaving_agrees_with_the_model(
    redis_server: RedisServer, said: dict[int, list[str]], calls: list[Call]
) -> None:
    run_id, model = new_run_id(), Model()
    async with connected(redis_server.url) as redis:
        log = Log(redis)
        for call in calls:
            first = max(1, model.known(call.writer) + 1 + call.shift)
            types = said[call.writer][first - 1 : first - 1 + call.count]
            who = speaker(run_id, *turn_and_attempt(call.writer))
            for _ in range(call.times):
                before = await books(log, run_id)
                verdict = model.append(call.writer, first, types, whole=call.whole)
                done = await log.append(run_id, call.writer, first, events(who, first, types), whole=call.whole)
                assert (done.outcome, done.count) == verdict
                assert (done.seq, done.epoch) == (len(model.log), model.newest)
                if not done.count:
                    assert await books(log, run_id) == before
            assert await log.fence(run_id) == model.fence()
        entries = await whole(log, run_id)
    assert_lawful(entries)
    found = [(entry.epoch, *place(entry), entry.type) for entry in entries]
    assert found == [(e.epoch, *turn_and_attempt(e.writer), e.number, e.type) for e in model.log]


async def test_what_an_entry_is_made_of(log: Log) -> None:
    run_id = new_run_id()
    await log.append(run_id, RUN, 1, events(speaker(run_id), 1, ["run_queued"]))
    await say(log, run_id, 1, "turn_started", turn=3, attempt=2)
    await log.append(run_id, RUN, 2, events(speaker(run_id), 2, ["run_pausing"]))

    entries = await log.redis.xrange(f"codex:run:{{{run_id}}}:events")

    assert [entry_id for entry_id, _ in entries] == [b"1-0", b"2-3002", b"3-3002"]
    assert [fields[::2] for _, fields in entries] == [[b"type", b"event"]] * 3
    said = events(speaker(run_id, 3, 2), 1, ["turn_started"])[0][1]
    assert entries[1][1] == [b"type", b"turn_started", b"event", said]
    assert await log.redis.exists(f"codex:run:{{{run_id}}}:fence")


async def test_a_run_without_a_log_has_empty_books(log: Log) -> None:
    run_id = new_run_id()

    assert await log.fence(run_id) == Fence()
    assert await log.after(run_id, 0) == []
    assert (await log.first(run_id), await log.last(run_id), await log.at(run_id, 1)) == (None, None, None)


@pytest.mark.parametrize("epoch", [999_999, 2**31 * 1000 + 1])
async def test_a_late_turn_of_a_long_run_is_numbered_exactly(log: Log, epoch: int) -> None:
    run_id = new_run_id()
    turn, attempt = turn_and_attempt(epoch)
    await say(log, run_id, 1, "turn_started", turn=turn, attempt=attempt)

    assert str((await whole(log, run_id))[0].cursor) == f"1-{epoch}"
    assert (await log.fence(run_id)).epoch == epoch


async def test_an_entry_is_found_by_its_seq_alone(log: Log) -> None:
    run_id = new_run_id()
    await say(log, run_id, 1, *["item_delta"] * 5)
    await say(log, run_id, 1, *["item_delta"] * 5, attempt=2)

    first, sixth, last = await log.first(run_id), await log.at(run_id, 6), await log.last(run_id)

    assert [str(entry.cursor) for entry in (first, sixth, last) if entry] == ["1-1001", "6-1002", "10-1002"]
    assert [entry.seq for entry in await log.after(run_id, 4, 3)] == [5, 6, 7]


async def test_an_event_that_is_not_one_line_is_refused_by_the_log_whole(log: Log) -> None:
    run_id = new_run_id()
    batch = events(speaker(run_id, 1, 1), 1, ["turn_started", "item_delta"])

    with pytest.raises(ValueError, match="one line"):
        await log.append(run_id, 1001, 1, [batch[0], ("item_delta", b'{"a":\n1}')])
    assert await log.after(run_id, 0) == []

    assert (await log.append(run_id, 1001, 1, batch)).outcome == "ok"
    assert [(entry.type, entry.event) for entry in await log.after(run_id, 0)] == batch
