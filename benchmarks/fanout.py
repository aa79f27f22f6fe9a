"""Deliveries a second to 200 clients of one run, against a bare ASGI app that sends as many frames at once."""

import time

from benchmarks.baselines import asgi
from benchmarks.crowd import crowd
from benchmarks.figure import Figure
from benchmarks.flood import MARK, Flood
from benchmarks.stage import Stage

CLIENTS = 200
EVENTS = 5_000


def measure(stage: Stage) -> list[Figure]:
    """From the word to go until the last client has the last event."""
    rounds, sends = list[tuple[float, float]](), list[int]()
    for _ in range(stage.rounds):
        flood = Flood(stage.service, EVENTS)
        with crowd(stage.service.api_port, CLIENTS, [f"{flood.run.path}/stream"], MARK) as clients:
            began = time.monotonic()
            flood.go()
            seen = clients.seen()
        ours = CLIENTS * EVENTS / (seen.marked - began)
        frame_bytes, per_send = seen.size // seen.frames, seen.per_send
        sends.append(per_send)
        frames = EVENTS // per_send * per_send
        with (
            asgi.serving(frames=frames, frame_bytes=frame_bytes, per_send=per_send) as server,
            crowd(server.port, CLIENTS, ["/stream"]) as clients,
        ):
            began = time.monotonic()
            server.go()
            rounds.append((ours, CLIENTS * frames / (clients.seen().marked - began)))
    what = f"{CLIENTS} clients of one run, live; baseline: a bare ASGI app with as many frames a send as the run had"
    notes = {"events": EVENTS, "frames_per_send": sorted(sends)[len(sends) // 2]}
    return [Figure("fan_out", what, "deliveries/s", rounds, at_least=0.6, notes=notes)]
