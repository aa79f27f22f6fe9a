import asyncio
import os
import signal

import psutil

from tests.integration.agents.agents_stage import alive, pid_in
from tests.integration.agents.codex.codex_stage import CodexStage, answer, message, part_of_message, shell, torn
from tests.integration.agents.driven_stage import HOLD, Turn
from tests.parts import until

STUBBORN = """setsid sh -c 'trap "" INT TERM; echo $$ > escaped.tmp; mv escaped.tmp escaped; exec sleep 1000' &"""
"""Leaves its session and its group, and ignores whatever can be ignored."""


def family(turn: Turn) -> list[psutil.Process]:
    driver = psutil.Process(turn.heard.of("turn_started")[0].pid)
    return [driver, *driver.children(recursive=True)]


async def test_a_cancel_in_the_middle_of_a_text_interrupts_the_turn(codex: CodexStage) -> None:
    turn = codex.play({"chunks": [*torn(part_of_message("msg_a", "Hel"))["chunks"], HOLD]})
    taking = asyncio.create_task(codex.take(turn))
    await until(lambda: turn.heard.streamed("msg_a") == "Hel")
    processes = family(turn)
    turn.stop.request()
    await taking

    assert turn.ended.stopped
    assert turn.ended.error is None
    assert [each.item_id for each in turn.heard.of("item_cancelled")] == ["msg_a"]
    assert turn.heard.open_items() == set()
    assert len(processes) > 1
    assert not any(alive(process.pid) for process in processes)
    assert turn.ended.quiet.survivors == ()
    await until(lambda: turn.session.requests[0].hung_up)


async def test_a_cancel_in_the_middle_of_a_command_leaves_nothing_behind(codex: CodexStage) -> None:
    turn = codex.play(answer(shell("call_1", f"{STUBBORN} echo $$ > pid.tmp; mv pid.tmp pid; sleep 1000")))
    taking = asyncio.create_task(codex.take(turn, kill_grace_seconds=2.0))
    await until(lambda: pid_in(codex.root / "escaped") and pid_in(codex.root / "pid"))
    escaped, command = pid_in(codex.root / "escaped"), pid_in(codex.root / "pid")
    assert os.getsid(escaped) != os.getsid(command)
    turn.stop.request()
    await taking

    assert turn.ended.stopped
    assert not alive(escaped)
    assert not alive(command)
    assert turn.ended.quiet.signals[-1] == "SIGKILL"
    assert escaped in turn.ended.quiet.reaped
    assert turn.ended.quiet.survivors == ()
    assert turn.heard.outputs()["call_1"][1] is False
    assert turn.ended.usage is not None
    assert turn.ended.carry == turn.heard.remembered

    again = await codex.run(answer(message("msg_b", "back again")), carry=turn.ended.carry, attempt=2)
    assert again.heard.warnings() == []
    assert again.heard.items("message")[0]["content"] == "back again"


async def test_a_cancel_before_the_agent_is_up_ends_it(codex: CodexStage) -> None:
    turn = codex.play(answer(message("msg_a", "never")))
    taking = asyncio.create_task(codex.take(turn))
    await asyncio.sleep(0)
    turn.stop.request()
    await taking
    assert turn.ended.stopped
    assert turn.ended.quiet.survivors == ()
    assert turn.session.requests == []


async def test_a_stubborn_child_does_not_outlive_a_turn_that_is_done(codex: CodexStage) -> None:
    turn = await codex.run(
        answer(shell("call_1", f"{STUBBORN} until test -e escaped; do sleep 0.01; done")),
        answer(message("msg_a", "done")),
        kill_grace_seconds=0.5,
    )
    assert turn.ended.error is None
    assert not alive(pid_in(codex.root / "escaped"))
    assert turn.ended.quiet.survivors == ()


async def test_a_codex_that_dies_fails_the_turn_and_is_worth_another_attempt(codex: CodexStage) -> None:
    turn = codex.play({"chunks": [*torn(part_of_message("msg_a", "Hel"))["chunks"], HOLD]})
    taking = asyncio.create_task(codex.take(turn))
    await until(lambda: turn.heard.streamed("msg_a") == "Hel")
    (server,) = [each for each in family(turn)[1:] if each.name() == "codex"]
    os.kill(server.pid, signal.SIGKILL)
    await taking

    assert turn.ended.error is not None
    assert (turn.ended.error.code, turn.ended.error.retryable) == ("agent_exit", True)
    assert turn.heard.open_items() == set()
    assert turn.ended.carry == turn.heard.remembered
