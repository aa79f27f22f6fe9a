"""Turns a second of 100 no-op runs, and milliseconds per turn of one, against bare workflows of no-op activities."""

import asyncio
import time

from benchmarks.baselines.temporal_turns import BareTurnsClient, working
from benchmarks.figure import Figure
from benchmarks.stage import Stage
from tests.service import Service

RUNS, TURNS = 100, 5
SEQUENCE = 50
_PATIENCE_SECONDS = 120.0
NO_OP = ["true"]


def measure(stage: Stage) -> list[Figure]:
    """A turn of ours starts a process (`true`) and is one activity, `take_turn`, which projects it too; the run
    adds a `record` at its end, and one at its beginning if its first turn is not over within five seconds.
    """
    service, address = stage.service, stage.service.temporal_address
    many, one = list[tuple[float, float]](), list[tuple[float, float]]()
    with working(address):
        asyncio.run(_bare(address))
        for _ in range(stage.rounds):
            turn_ms, per_second = asyncio.run(_bare(address))
            one.append((_turn_ms(service), turn_ms))
            many.append((_turns_per_second(service), per_second))
    what = f"{RUNS} runs of {TURNS} turns of `true` at once; baseline: bare workflows of as many no-op activities"
    other = f"one run of {SEQUENCE} turns of `true`; baseline: a bare workflow of as many no-op activities"
    return [
        Figure("many_runs", what, "turns/s", many, at_least=0.5),
        Figure("sequence", other, "ms/turn", one, at_most=2.0),
    ]


def _turn_ms(service: Service) -> float:
    body = service.body(NO_OP, max_turns=SEQUENCE)
    began = time.perf_counter()
    run = service.start(NO_OP, max_turns=SEQUENCE, working_dir=body["working_dir"])
    with run.stream(types="turn_started") as stream:
        stream.rest(_PATIENCE_SECONDS)
    return (time.perf_counter() - began) * 1000 / SEQUENCE


def _turns_per_second(service: Service) -> float:
    places = [service.workspace() for _ in range(RUNS)]
    began = time.perf_counter()
    runs = [service.start(NO_OP, max_turns=TURNS, working_dir=str(place)) for place in places]
    for run in reversed(runs):
        with run.stream(types="run_completed") as stream:  # to ask again and again would cost what is being measured
            stream.rest(_PATIENCE_SECONDS)
    return RUNS * TURNS / (time.perf_counter() - began)


async def _bare(address: str) -> tuple[float, float]:
    client = await BareTurnsClient.connect(address)
    return await client.turn_ms(SEQUENCE), await client.turns_per_second(RUNS, TURNS)
