"""Events a second folded and saved, against `json.loads` of the same events; and what a long item costs."""

import json
import tempfile
import time
from pathlib import Path

import uvloop

from benchmarks.figure import Figure
from benchmarks.stage import Stage
from cody.contract.items import MessageItem
from tests.integration.projector.projector_stage import Speech, staged
from tests.integration.store.store_stage import opened
from tests.parts import RedisServer, running_redis

ITEMS, DELTAS = 50, 1_000
LONG, SHORT = 100_000, 10_000
_TEXT = "x" * 100


def measure(stage: Stage) -> list[Figure]:
    """The activity itself, with a Redis and a SQLite file of its own; the log is whole before it begins."""
    rates, growth = list[tuple[float, float]](), list[tuple[float, float]]()
    with tempfile.TemporaryDirectory() as folder, running_redis(Path(folder)) as redis:
        for number in range(stage.rounds):
            url = f"sqlite:///{folder}/{number}.db"
            seconds, parsed, events = uvloop.run(_project(redis, url, ITEMS, DELTAS))
            rates.append((events / seconds, events / parsed))
            short, _, _ = uvloop.run(_project(redis, url, 1, SHORT))
            long, _, _ = uvloop.run(_project(redis, url, 1, LONG))
            growth.append((long, short))
    what = f"a turn of {ITEMS} messages of {DELTAS:,} deltas, folded and saved; baseline: json.loads of the same events"
    other = f"a message of {LONG:,} deltas; baseline: one of {SHORT:,}"
    return [
        Figure("projector", what, "events/s", rates, at_least=0.3),
        Figure("long_item", other, "s", growth, at_most=11.0),
    ]


async def _project(redis: RedisServer, url: str, items: int, deltas: int) -> tuple[float, float, int]:
    """Seconds that the activity took, seconds of json.loads, and how many events the turn had."""
    async with opened(url) as store, staged(store, redis) as stage:
        async with stage.attempt() as speech:
            speech.say("turn_started", agent="command", pid=4711)
            speech.start_response()
            for number in range(items):
                await _say_message(speech, f"msg_{number}", deltas)
            speech.complete()
        began = time.perf_counter()
        await stage.project().report(seconds=300)
        took = time.perf_counter() - began
        events, seq = list[bytes](), 0
        while entries := await stage.log.after(stage.run_id, seq):
            events.extend(entry.event for entry in entries)
            seq = entries[-1].seq
        began = time.perf_counter()
        for event in events:
            json.loads(event)
        return took, time.perf_counter() - began, len(events)


async def _say_message(speech: Speech, item_id: str, deltas: int) -> None:
    speech.say("item_start", item_id=item_id, item_type="message", origin="agent")
    for number in range(deltas):
        speech.say("item_delta", item_id=item_id, delta_content=_TEXT)
        if number % 1000 == 0:
            await speech.writer.ready()
    final = MessageItem(id=item_id, content=_TEXT * deltas).model_dump(mode="json")
    speech.say("item_done", item_id=item_id, final_item=final)
