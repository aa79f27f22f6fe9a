"""Redis loses what it had, under runs: their logs heal, their clients read on, and nothing is said twice."""

import random
import shutil
import time
from collections.abc import Callable

import pytest

from tests.e2e.runs.checks import types
from tests.e2e.runs.readers import CHATTER, Reader, check_nothing_lost
from tests.parts import PATIENCE_SECONDS
from tests.service import ENDED, Service, eventually


def emptied(service: Service) -> None:
    with service.redis() as redis:
        redis.flushall()


def killed(service: Service) -> None:
    service.part("redis").kill()


def killed_and_its_data_removed(service: Service) -> None:
    data = service.data_dir / "redis" / "appendonlydir"
    eventually(data.exists, what="a Redis that was killed is back")
    shutil.rmtree(data)
    service.part("redis").kill()


@pytest.mark.parametrize("lose", [emptied, killed, killed_and_its_data_removed])
def test_logs_heal_at_any_point_while_their_worker_lives(fragile: Service, lose: Callable[[Service], None]):
    dice = random.Random(lose.__name__)
    fragile.start("true", max_turns=1).wait("completed")
    runs = [fragile.start(CHATTER, max_turns=2) for _ in range(4)]
    paused = fragile.start("echo once", max_turns=2, loop_delay_seconds=1)
    paused.control("pause")
    paused.wait("paused")
    readers = [Reader(run, restless=restless) for run in (*runs, paused) for restless in (False, True)]
    for _ in range(3):
        time.sleep(dice.uniform(0.3, 2.0))  # a random point is what is tested here
        lose(fragile)
    for run in runs:
        run.wait("completed")
    paused.control("resume")
    paused.wait("completed")
    check_nothing_lost((*runs, paused), readers)


def test_what_died_with_its_worker_is_named_and_the_run_goes_on(fragile: Service):
    run = fragile.start(f'[ "$CODY_ATTEMPT" -gt 1 ] || {{ {CHATTER} sleep 600; }}; echo done', max_turns=1)
    reader = Reader(run)
    eventually(lambda: len(reader.frames) > 20)
    shutil.rmtree(fragile.data_dir / "redis" / "appendonlydir")
    for name in ("worker", "redis"):
        fragile.part(name).kill()
    run.wait(*ENDED)
    assert run.snapshot()["status"] == "completed"
    reader.join(PATIENCE_SECONDS)
    assert not reader.is_alive()
    seqs = [frame.seq for frame in reader.frames]
    assert seqs == sorted(set(seqs))
    gaps = [frame for frame in reader.frames if frame.event == "log_gap"]
    assert len(gaps) == 1
    before = [frame.seq for frame in reader.frames if frame.seq < gaps[0].seq]
    assert gaps[0].json["payload"]["to"] == gaps[0].seq - 1 >= before[-1]
    assert types([frame.json for frame in reader.frames], "run_completed") == ["run_completed"]
    with run.stream() as anew:
        assert anew.status == 200
        assert next(frame.event for frame in anew.rest() if frame.event) == "log_gap"
