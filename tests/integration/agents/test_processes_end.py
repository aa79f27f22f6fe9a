import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from cody.agents.keepers import Keepers
from cody.agents.sweep import sweep, sweep_dead_workers, worker_marker
from tests.integration.agents.agents_stage import ESCAPE, Stage, alive, pid_in, popen
from tests.parts import PATIENCE_SECONDS, until

ROOT = Path(__file__).parents[3]


async def test_what_left_session_group_parent_and_environment_is_gone(stage: Stage) -> None:
    turn = asyncio.create_task(stage.py(ESCAPE))
    await until(lambda: pid_in(stage.root / "escaped"))
    escaped = pid_in(stage.root / "escaped")
    assert alive(escaped)
    stage.stop.request()
    result = await turn

    assert result.stopped
    assert result.error is None
    assert result.quiet.survivors == ()
    assert result.quiet.signals == ("SIGTERM",)
    assert {escaped, stage.heard.of("turn_started")[0].pid} <= set(result.quiet.reaped)
    assert not alive(escaped)


async def test_who_ignores_sigterm_is_killed_after_the_grace(stage: Stage) -> None:
    turn = asyncio.create_task(
        stage.sh(
            "trap 'echo no' TERM; (trap '' TERM; sleep 1000)& while :; do sleep 0.05; done", kill_grace_seconds=0.5
        )
    )
    await until(lambda: len(psutil.Process(_pid(stage)).children()) > 0 if _pid(stage) else False)
    began = time.monotonic()
    stage.stop.request()
    result = await turn

    assert time.monotonic() - began >= 0.5
    assert result.quiet.signals == ("SIGTERM", "SIGKILL")
    assert result.quiet.survivors == ()
    assert stage.heard.text() == "no\n"


async def test_a_command_may_clean_up_in_its_grace(stage: Stage) -> None:
    turn = asyncio.create_task(
        stage.sh("trap 'sleep 0.3; echo clean; exit 0' TERM; echo up; while :; do sleep 0.05; done")
    )
    await until(lambda: stage.heard.text() == "up\n")
    stage.stop.request()
    result = await turn
    assert result.stopped
    assert stage.heard.text() == "up\nclean\n"


async def test_a_stopped_process_ends_too(stage: Stage) -> None:
    turn = asyncio.create_task(stage.sh("echo up; kill -STOP $$"))
    await until(lambda: _pid(stage) and psutil.Process(_pid(stage)).status() == psutil.STATUS_STOPPED)
    stage.stop.request()
    assert (await turn).quiet.signals == ("SIGTERM",)


async def test_a_child_left_in_the_background_neither_delays_nor_survives_the_turn(stage: Stage) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        result = await stage.sh("sleep 1000 & echo $! > left; echo done")
    assert result.error is None
    assert stage.heard.text() == "done\n"
    assert not alive(int((stage.root / "left").read_text()))


async def test_a_flock_of_forks_ends(stage: Stage) -> None:
    turn = asyncio.create_task(
        stage.sh(
            "for i in $(seq 100); do (setsid sh -c 'trap \"\" TERM; sleep 1000' &) ; done; echo up; sleep 1000",
            kill_grace_seconds=0.3,
        )
    )
    await until(lambda: stage.heard.text() == "up\n")
    stage.stop.request()
    result = await turn
    assert result.quiet.survivors == ()
    assert len(result.quiet.reaped) > 100
    assert not any(alive(pid) for pid in result.quiet.reaped)


async def test_the_tree_of_a_worker_that_was_killed_ends_by_itself(tmp_path: Path) -> None:
    worker = popen([sys.executable, "-m", "tests.integration.agents.worker_program", str(tmp_path)], cwd=ROOT)
    try:
        await until(lambda: pid_in(tmp_path / "escaped") and pid_in(tmp_path / "agent"))
        pids = [pid_in(tmp_path / "escaped"), pid_in(tmp_path / "agent")]
        assert all(alive(pid) for pid in pids)
    finally:
        worker.kill()
        worker.wait()
    await until(lambda: not any(alive(pid) for pid in pids))


async def test_the_death_of_a_keeper_frees_nobody(stage: Stage) -> None:
    turn = asyncio.create_task(stage.py(ESCAPE))
    await until(lambda: pid_in(stage.root / "escaped"))
    escaped, agent = pid_in(stage.root / "escaped"), _pid(stage)
    os.kill(psutil.Process(agent).ppid(), signal.SIGKILL)
    result = await turn

    assert result.error is not None
    assert result.error.retryable
    await until(lambda: not alive(escaped) and not alive(agent))


async def test_the_death_of_helper_and_keeper_is_healed_by_the_marks(stage: Stage) -> None:
    turn = asyncio.create_task(stage.sh("sleep 1000 & sleep 1000"))
    await until(lambda: _pid(stage))
    agent = psutil.Process(_pid(stage))
    keeper = agent.parent()
    assert keeper is not None
    helper = keeper.parent()
    assert helper is not None
    helper.kill()
    await until(lambda: not alive(helper.pid))
    keeper.kill()
    result = await turn
    assert result.error is not None
    assert not alive(agent.pid)

    assert (await stage.sh("true")).error is None  # a new helper was started


async def test_a_keeper_has_one_agent_after_the_other(keepers: Keepers, tmp_path: Path) -> None:
    one = await keepers.spawn(["cat"], cwd=tmp_path, env={"PATH": os.environ["PATH"]}, hold_stdin=True)
    keeper = psutil.Process(one.pid).ppid()
    other = await keepers.spawn(["cat"], cwd=tmp_path, env={"PATH": os.environ["PATH"]}, hold_stdin=True)
    assert psutil.Process(other.pid).ppid() != keeper

    await one.end(1.0)
    await one.end(1.0)  # an order that comes too late is nothing to the next agent
    one.close()
    next_one = await keepers.spawn(["sleep", "1000"], cwd=tmp_path, env={"PATH": os.environ["PATH"]})
    assert psutil.Process(next_one.pid).ppid() == keeper
    # Nothing of another agent's; while it starts, the loader has a file open.
    await until(lambda: psutil.Process(next_one.pid).num_fds() == 3)
    assert (await next_one.end(1.0)).reaped == (next_one.pid,)
    assert (await other.end(1.0)).reaped == (other.pid,)
    for process in (other, next_one):
        process.close()


async def _helper(keepers: Keepers, tmp_path: Path) -> psutil.Process:
    """What starts the keepers, which have no agent any more."""
    one = await keepers.spawn(["cat"], cwd=tmp_path, env={"PATH": os.environ["PATH"]}, hold_stdin=True)
    keeper = psutil.Process(one.pid).parent()
    assert keeper is not None
    helper = keeper.parent()
    assert helper is not None
    await one.end(1.0)
    one.close()
    return helper


async def test_the_death_of_keepers_without_an_agent_is_nothing_to_the_next(keepers: Keepers, tmp_path: Path) -> None:
    helper = await _helper(keepers, tmp_path)
    idle = helper.children()
    assert idle
    for keeper in idle:
        keeper.kill()
    await until(lambda: not any(alive(keeper.pid) for keeper in idle))
    again = await keepers.spawn(["true"], cwd=tmp_path, env={"PATH": os.environ["PATH"]})
    assert (await again.wait()).code == 0
    again.close()


async def test_keepers_without_an_agent_end_with_the_worker(tmp_path: Path) -> None:
    keepers = Keepers()
    helper = await _helper(keepers, tmp_path)
    there = [helper, *helper.children()]
    await keepers.close()
    await until(lambda: not any(alive(each.pid) for each in there))


async def test_a_sweep_ends_older_attempts_and_spares_the_own_one(keepers: Keepers, tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "CODY_RUN_ID": f"run_sweep_{os.getpid()}", "CODY_WORKER": worker_marker()}
    started = []
    for turn, attempt in ((1, 9), (2, 1), (2, 2)):
        marks = {"CODY_TURN": str(turn), "CODY_ATTEMPT": str(attempt)}
        started.append(await keepers.spawn(["sleep", "1000"], cwd=tmp_path, env=env | marks))
    old, older, own = (process.pid for process in started)

    quiet = await sweep(env["CODY_RUN_ID"], before=(2, 2), grace_seconds=2.0)
    assert set(quiet.reaped) == {old, older}
    assert quiet.survivors == ()
    assert alive(own)

    assert set((await sweep(env["CODY_RUN_ID"], grace_seconds=2.0)).reaped) == {own}
    for process in started:
        await process.quiet()
        process.close()


async def test_a_sweep_kills_who_ignores_it(tmp_path: Path) -> None:
    run_id = f"run_stubborn_{os.getpid()}"
    stubborn = popen(
        ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done"],
        env={"PATH": os.environ["PATH"], "CODY_RUN_ID": run_id, "CODY_TURN": "1", "CODY_ATTEMPT": "1"},
        stdout=-1,
    )
    with stubborn:
        assert stubborn.stdout
        stubborn.stdout.readline()
        quiet = await sweep(run_id, before=(1, 2), grace_seconds=0.2)
        assert quiet.signals == ("SIGTERM", "SIGKILL")
        assert quiet.survivors == ()
        assert stubborn.wait() == -signal.SIGKILL


async def test_a_new_worker_sweeps_what_dead_ones_left_and_nothing_else() -> None:
    dead = popen(["sleep", "0"])
    dead.wait()
    path = {"PATH": os.environ["PATH"]}
    orphan = popen(["sleep", "1000"], env=path | {"CODY_WORKER": f"{dead.pid}-1"})
    kept = popen(["sleep", "1000"], env=path | {"CODY_WORKER": worker_marker()})
    try:
        quiet = await sweep_dead_workers(grace_seconds=2.0)
        assert orphan.pid in quiet.reaped
        assert kept.poll() is None
        assert orphan.wait() == -signal.SIGTERM
    finally:
        kept.kill()
        kept.wait()
        orphan.kill()
        orphan.wait()


async def test_no_descriptor_of_one_agent_is_seen_by_another(keepers: Keepers, tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"]}
    first = await keepers.spawn(["sleep", "1000"], cwd=tmp_path, env=env)
    second = await keepers.spawn(["ls", "-l", "/proc/self/fd"], cwd=tmp_path, env=env)
    await second.quiet()
    listed = [line for line in (await second.stdout.read() or b"").decode().splitlines() if "->" in line]
    assert len(listed) == 4, listed  # the three streams, and the directory that ls itself reads
    second.close()
    first.close()
    await until(lambda: not alive(first.pid))


async def test_an_agent_starts_with_default_signals(stage: Stage) -> None:
    await stage.sh("grep -E 'SigBlk|SigIgn' /proc/self/status")
    of_libc = 0b11 << 31  # 32 and 33, which no program can set
    assert {int(line.split()[1], 16) & ~of_libc for line in stage.heard.text().splitlines()} == {0}


def test_it_works_on_uvloop_too(tmp_path: Path) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def turn() -> None:
        keepers = Keepers()
        stage = Stage(keepers, tmp_path)
        result = await stage.run(["sh", "-c", "wc -c; echo err >&2"], prompt="x" * 2_000_000)
        assert result.error is None
        assert (stage.heard.text().strip(), stage.heard.text("stderr")) == ("2000000", "err\n")
        await keepers.close()

    uvloop.run(turn())


def _pid(stage: Stage) -> int:
    started = stage.heard.of("turn_started")
    return started[0].pid if started else 0
