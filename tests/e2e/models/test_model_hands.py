"""`cody run` with agents other than a command, as a person types it."""

import re
from typing import Any

import pytest

from tests.e2e.hands.test_hands import cody
from tests.e2e.models.answers import APIS, MODELS, Api, Call, Text, answer, scenario
from tests.e2e.models.playing import Providers
from tests.service import Service


@pytest.mark.parametrize("api", APIS)
def test_an_answer_is_shown_with_its_tools_and_gone_on_with(api: Api, models: Service, providers: Providers):
    root = models.workspace()
    (root / "a.py").touch()
    (root / "b.py").touch()
    look = answer(api, "a", Text("I look."), Call("call_1", "list_dir", {"path": "."}))
    play = providers.play(scenario(api, look, answer(api, "b", Text("Two files."))))
    run = ("run", "--agent", api, "--model", MODELS[api])
    shown = cody(models, *run, "--prompt", f"What is here? {play.tag}", cwd=root)
    assert shown.returncode == 0, shown.stderr
    play.check()
    lines = shown.stdout.splitlines()
    at = [lines.index("  │ I look."), lines.index("  ← a.py · 1 more"), lines.index("  │ Two files.")]
    assert at == sorted(at)
    assert any(line.startswith("  → list_dir") and '"path"' in line for line in lines)
    assert any(re.fullmatch(r"  turn 1 done · .* · 30 tokens", line) for line in lines), lines
    assert any(line.startswith("completed: its one turn is done") for line in lines)

    (thread,) = (line.removeprefix("go on with it: ").split() for line in lines if line.startswith("go on with it: "))
    again = providers.play(scenario(api, answer(api, "c", Text("Quite."))))
    shown = cody(models, *run, *thread, "--no-tools", "--prompt", f"Sure? {again.tag}", cwd=root)
    assert shown.returncode == 0, shown.stderr
    assert "  │ Quite." in shown.stdout.splitlines()
    (body,) = again.bodies
    assert "Two files." in str(body)


@pytest.mark.parametrize("agent", ["codex", "claude-code"])
def test_an_agent_takes_one_turn_unless_more_is_spoken_of(agent: str, models: Service, providers: Providers):
    api: Api = "openai" if agent == "codex" else "anthropic"
    play = providers.play(scenario(api, answer(api, "a", Text("Done."))))
    place = models.workspace()
    shown = cody(models, "run", "--agent", agent, "--model", MODELS[api], "--prompt", f"Go. {play.tag}", cwd=place)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "  │ Done." in shown.stdout
    assert "its one turn is done" in shown.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--agent", "openai", "--prompt", "Go"], "needs a --model"),
        (["--agent", "openai", "--model", "m", "--prompt", "Go", "--max-steps", "0"], "agent.max_steps"),
        (["--agent", "openai", "--model", "m", "--prompt", "Go", "--thread", "no thread"], "thread_id"),
    ],
)
def test_what_cannot_be_started_is_explained(words: list[str], said: str, models: Service):
    result: Any = cody(models, "run", *words, cwd=models.workspace())
    assert result.returncode in (1, 2)
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_a_busy_thread_is_explained(models: Service):
    run = models.start("exec sleep 600", single=True, prompt="", thread_id="busy-hands")
    words = ("run", "--once", "--thread", "busy-hands", "--", "true")
    result = cody(models, *words, cwd=models.workspace())
    assert result.returncode == 1
    assert f"run {run.id} is under way on thread busy-hands" in result.stderr
    run.cancel()
