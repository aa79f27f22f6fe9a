"""The supervisor over real processes: small ones written here, and the real Temporal and Redis."""

import asyncio
import os
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from cody.cli.dev.part import Part
from cody.cli.dev.plan import Plan
from cody.cli.dev.ports import settle
from cody.cli.dev.redis import RedisProbe, redis_part
from cody.cli.dev.supervise import StartFailedError, Supervisor
from cody.cli.dev.temporal import TemporalProbe, temporal_part
from tests.parts import PATIENCE_SECONDS

SECOND = timedelta(seconds=1)
WAIT = timedelta(seconds=PATIENCE_SECONDS)
FORGETTING_SECONDS = 60
FORGETS_TO_END = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); "
    f"time.sleep({FORGETTING_SECONDS})"
)


def python(tmp_path: Path, code: str, name: str = "part") -> Part:
    return Part(name, (sys.executable, "-c", code), dict(os.environ), tmp_path / "logs" / f"{name}.log")


async def soon(found, seconds: float = PATIENCE_SECONDS):
    until = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < until
        await asyncio.sleep(0.02)
    return value


def pids(log: Path) -> list[int]:
    return [int(word) for word in log.read_text().split() if word.isdigit()] if log.exists() else []


async def test_a_part_that_dies_is_started_again(tmp_path):
    said: list[str] = []
    supervisor = Supervisor(said.append)
    part = python(tmp_path, "import os, time; print(os.getpid(), flush=True); time.sleep(60)")
    await supervisor.start(part)
    supervisor.keep("part")
    (first,) = await soon(lambda: pids(part.log))
    os.kill(first, signal.SIGKILL)
    second = (await soon(lambda: pids(part.log)[1:]))[0]
    await supervisor.stop([["part"]], WAIT)
    assert not psutil.pid_exists(second)
    assert said == [f"part ended (SIGKILL); starting it again in 0.2 s · log: {part.log}"]


async def test_a_part_that_dies_at_once_is_started_ever_more_slowly(tmp_path):
    said: list[str] = []
    supervisor = Supervisor(said.append)
    await supervisor.start(python(tmp_path, "raise SystemExit(7)"))
    supervisor.keep("part")
    await soon(lambda: len(said) == 3)
    await supervisor.stop([["part"]], SECOND)
    assert [line.split(" · ")[0] for line in said] == [
        f"part ended (exit code 7); starting it again in {pause} s" for pause in (0.2, 0.4, 0.8)
    ]


async def test_a_part_that_ends_before_it_is_ready_is_a_failure_with_its_last_words(tmp_path):
    supervisor = Supervisor(print)
    await supervisor.start(python(tmp_path, "raise SystemExit('no such setting')"))

    async def never() -> str:
        return "no answer"

    with pytest.raises(StartFailedError, match=r"part ended with exit code 1\n[^\n]*part.log[^\n]*\nno such setting"):
        await supervisor.ready("part", never, WAIT)


async def test_a_part_that_does_not_come_up_in_time_is_a_failure_that_says_what_is_missing(tmp_path):
    supervisor = Supervisor(print)
    part = python(tmp_path, "print('busy', flush=True); import time; time.sleep(60)")
    await supervisor.start(part)
    await soon(lambda: part.log.exists() and "busy" in part.log.read_text())

    async def never() -> str:
        return "database is down"

    with pytest.raises(StartFailedError, match=r"did not come up in 1 s: database is down\n.*\nbusy"):
        await supervisor.ready("part", never, SECOND)
    await supervisor.stop([["part"]], SECOND)


async def test_what_does_not_end_is_killed_with_all_that_came_from_it(tmp_path):
    said: list[str] = []
    code = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {FORGETS_TO_END!r}], start_new_session=True)\n"
        "print(child.pid, flush=True)\n" + FORGETS_TO_END
    )
    supervisor = Supervisor(said.append)
    part = python(tmp_path, code)
    await supervisor.start(part)
    await soon(lambda: part.log.exists() and part.log.read_text().count("up") == 2)
    began = time.monotonic()
    await supervisor.stop([["part"]], SECOND)
    assert time.monotonic() - began < FORGETTING_SECONDS
    await soon(lambda: not psutil.pid_exists(pids(part.log)[0]))
    assert said == ["part does not end; killing it"]


async def test_hurry_kills_at_once(tmp_path):
    supervisor = Supervisor(print)
    part = python(tmp_path, FORGETS_TO_END)
    await supervisor.start(part)
    await soon(lambda: part.log.exists() and "up" in part.log.read_text())
    asyncio.get_running_loop().call_later(0.2, supervisor.hurry)
    began = time.monotonic()
    await supervisor.stop([["part"]], WAIT)
    assert time.monotonic() - began < WAIT.total_seconds()


async def test_parts_are_in_sessions_of_their_own(tmp_path):
    supervisor = Supervisor(print)
    part = python(tmp_path, "import os, time; print(os.getsid(0), flush=True); time.sleep(60)")
    await supervisor.start(part)
    (session,) = await soon(lambda: pids(part.log))
    await supervisor.stop([["part"]], SECOND)
    assert session != os.getsid(0)


PARENT = """
import asyncio, sys
from pathlib import Path
from cody.cli.dev.part import Part, Running
log = Path(sys.argv[1])
code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
async def main():
    running = await Running.start(Part("part", (sys.executable, "-c", code), {}, log))
    await running.process.wait()
asyncio.run(main())
"""


async def test_a_kill_of_the_parent_leaves_nothing(tmp_path):
    log = tmp_path / "part.log"
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, str(log))
    (child,) = await soon(lambda: pids(log))
    parent.kill()
    await parent.wait()
    await soon(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)


async def test_the_real_temporal_and_redis_start_and_stop(tmp_path):
    ports = settle(dict.fromkeys(("api", "temporal", "ui", "redis"), 0))
    plan = Plan(
        data_dir=tmp_path,
        api_port=ports["api"],
        temporal_port=ports["temporal"],
        ui_port=ports["ui"],
        redis_port=ports["redis"],
        workers=1,
        demo=False,
        user=dict(os.environ),
    )
    supervisor = Supervisor(print)
    with (tmp_path / "dev.lock").open("w") as lock:
        await supervisor.start(temporal_part(plan, lock.fileno()), redis_part(plan, lock.fileno()))
    assert await TemporalProbe("127.0.0.1:1")() is not None
    assert await RedisProbe(1)() is not None
    await supervisor.ready("temporal", TemporalProbe(plan.temporal_address), WAIT)
    await supervisor.ready("redis", RedisProbe(plan.redis_port), WAIT)
    began = time.monotonic()
    await supervisor.stop([["temporal", "redis"]], timedelta(seconds=9))
    assert time.monotonic() - began < 9
    assert (tmp_path / "temporal.db").stat().st_size > 0
    assert list((tmp_path / "redis" / "appendonlydir").iterdir())
