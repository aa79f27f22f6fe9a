"""Events a second folded, against `json.loads` of the same bytes."""

import json
import time

from benchmarks.append import TEXT, TRACE
from benchmarks.figure import ROUNDS, Figure, figure
from cody.contract.cursor import Cursor
from cody.contract.events import Speaker, encode
from cody.contract.payloads import ItemStart, ResponseStart
from cody.fold import Folder

EVENTS = 50_000
SPEAKER = Speaker(run_id="run_1", turn=1, attempt=1, trace_context=TRACE)


def measure() -> Figure:
    """Deltas of one item."""
    raw = encode(SPEAKER, 3, "item_delta", 1, TEXT)
    ours, baseline = [], []
    for _ in range(ROUNDS):
        folder = _begun()
        began = time.perf_counter()
        for seq in range(3, EVENTS + 3):
            folder.feed(Cursor(seq, 1001), "item_delta", raw)
        ours.append(EVENTS / (time.perf_counter() - began))
        began = time.perf_counter()
        for _ in range(EVENTS):
            json.loads(raw)
        baseline.append(EVENTS / (time.perf_counter() - began))
    return figure(ours, baseline, "events/s")


def _begun() -> Folder:
    folder = Folder(1)
    names = {"response_id": "r", "turn_id": "t", "thread_id": "h", "model_id": "m", "provider_id": "p"}
    start = encode(SPEAKER, 1, "response_start", 1, ResponseStart(**names, created_at=1))
    folder.feed(Cursor(1, 1001), "response_start", start)
    item = encode(SPEAKER, 2, "item_start", 1, ItemStart(item_id="msg_1", item_type="message"))
    folder.feed(Cursor(2, 1001), "item_start", item)
    return folder
