"""What happens to a run, a function each: driven on a live stack, recorded as a history, and replayed."""

import json
import os
from collections.abc import Awaitable, Callable
from typing import Final

from fixtures.providers import wire
from fixtures.providers.scenario import Scenario as Play
from fixtures.providers.server import ProviderServer
from tests.parts import until
from tests.workflows.stack import Stack

Scenario = Callable[[Stack], Awaitable[str]]
"""Drives one run to its end and gives its id."""


async def completed(stack: Stack) -> str:
    """Three turns, the goal is met by a line of the log."""
    script = 'echo "turn $CODY_TURN" >> log.md; [ $CODY_TURN -lt 3 ] || echo DONE >> log.md'
    run = await stack.start(script, completion={"log": "log.md", "pattern": "^DONE$"})
    await stack.reaches(run, "completed")
    return run


async def paused_and_resumed(stack: Stack) -> str:
    """Paused after its first turn, resumed, done."""
    run = await stack.start("while [ $CODY_TURN = 1 ] && [ ! -e go ]; do sleep 0.02; done", max_turns=2)
    await stack.has_pid(run)
    await stack.control(run, "pause", reason="lunch")
    await _let_go(stack, run)
    await stack.reaches(run, "paused")
    await stack.control(run, "resume")
    await stack.reaches(run, "completed")
    return run


async def paused_now(stack: Stack) -> str:
    """Interrupted in its turn, which the resume repeats."""
    run = await stack.start("[ $CODY_ATTEMPT = 2 ] || exec sleep 600", max_turns=1)
    await stack.has_pid(run)
    await stack.control(run, "pause", mode="now")
    await stack.reaches(run, "paused")
    await stack.control(run, "resume")
    await stack.reaches(run, "completed")
    return run


async def cancelled_mid_turn(stack: Stack) -> str:
    """Cancelled while its agent runs."""
    run = await stack.start("exec sleep 600")
    pid = await stack.has_pid(run)
    await stack.control(run, "cancel", reason="enough")
    await stack.reaches(run, "cancelled")
    assert not _alive(pid)
    return run


async def cancelled_while_paused(stack: Stack) -> str:
    """Paused before its first turn, then cancelled."""
    run = await stack.start("exec sleep 600")
    await stack.control(run, "pause", mode="now")
    await stack.reaches(run, "paused")
    await stack.control(run, "cancel")
    await stack.reaches(run, "cancelled")
    return run


async def paused_before_it_was_seen(stack: Stack) -> str:
    """Its signals come before any worker has seen the run."""
    async with stack.nobody_at_work():
        run = await stack.start("true", max_turns=1)
        await stack.control(run, "pause")
    await stack.reaches(run, "paused")
    await stack.control(run, "resume")
    await stack.reaches(run, "completed")
    return run


async def cancelled_in_temporal(stack: Stack) -> str:
    """Cancelled as an operator does it, in Temporal."""
    run = await stack.start("exec sleep 600")
    await stack.has_pid(run)
    await stack.client.get_workflow_handle(run).cancel()
    await stack.reaches(run, "cancelled")
    return run


async def failed_and_retried(stack: Stack) -> str:
    """A turn that fails once and is well the second time, and one that fails for good."""
    run = await stack.start("[ $CODY_TURN = 1 ] && [ $CODY_ATTEMPT = 2 ] || exit 3", max_turns=5, turn_attempts=2)
    await stack.reaches(run, "failed")
    return run


async def told_to_wait(stack: Stack) -> str:
    """A turn whose provider says when to come again, which is later than the back-off would be."""
    refusal = json.dumps({"error": {"code": "rate_limit_exceeded", "type": "requests", "message": "Slow down."}})
    whole = wire.openai_answer("m", "resp_1", [wire.openai_message_item("msg_1", "Well.")], wire.openai_usage(1, 1))
    steps = [{"status": 429, "headers": {"retry-after": "3"}, "chunks": [refusal]}, {"chunks": list(whole)}]
    scenario = {"provider": "openai", "model": "m", "prompt": "", "steps": steps, "expected_response": {}}
    async with ProviderServer() as server:
        session = server.play(Play.model_validate(scenario))
        env = {"OPENAI_BASE_URL": session.openai_base_url, "OPENAI_API_KEY": "none"}
        agent = {"kind": "openai", "model": "m", "tools": []}
        run = await stack.start_agent(agent, prompt="Go on.", env=env, max_turns=1)
        await stack.reaches(run, "completed")
        session.check()
    return run


async def continued_as_new(stack: Stack) -> str:
    """More turns than one history takes, with a signal that arrives on the way."""
    run = await stack.start("true", max_turns=12)
    await stack.client.get_workflow_handle(run).signal("resume", {"reason": "out of place"})
    await stack.reaches(run, "completed")
    return run


SCENARIOS: Final[dict[str, Scenario]] = {
    scenario.__name__: scenario
    for scenario in (
        completed,
        paused_and_resumed,
        paused_now,
        cancelled_mid_turn,
        cancelled_while_paused,
        paused_before_it_was_seen,
        cancelled_in_temporal,
        failed_and_retried,
        told_to_wait,
        continued_as_new,
    )
}


async def _let_go(stack: Stack, run: str) -> None:
    """Once the workflow knows of the pause, let the first turn end."""

    async def paused() -> bool:
        return "run_pausing" in await stack.types(run)

    await until(paused)
    row = await stack.get(run)
    (stack.folder / row.row["working_dir"] / "go").touch()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
