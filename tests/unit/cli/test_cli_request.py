import pytest
from click import UsageError
from click.testing import CliRunner

from cody.cli.request import RunOptions
from cody.cli.run import command
from cody.contract.requests import ContinuousRunRequest, SingleRunRequest


@pytest.fixture
def posted(monkeypatch, tmp_path):
    """What `cody run` with these arguments would post, and how it ended."""

    def invoke(*arguments: str, stdin: str = ""):
        starts = []
        original = RunOptions.start

        def start(self):
            starts.append(original(self))
            return starts[-1]

        monkeypatch.setattr(RunOptions, "start", start)
        # Nobody listens on port 1, so that the command ends right after it knew what to post.
        result = CliRunner().invoke(
            command, ["--url", "http://127.0.0.1:1", "--working-dir", str(tmp_path), *arguments], input=stdin
        )
        return (starts[0] if starts else None), result

    return invoke


def test_only_what_was_given_is_posted(posted, tmp_path):
    (body, single), result = posted("--", "./agent.sh", "--fast")
    assert body == {"agent": {"kind": "command", "command": ["./agent.sh", "--fast"]}, "working_dir": str(tmp_path)}
    ContinuousRunRequest.model_validate(body)
    assert not single
    assert result.exit_code == 1
    assert "no answer from http://127.0.0.1:1" in result.output
    assert "cody dev" in result.output


def test_every_option_has_its_place(posted, tmp_path):
    (tmp_path / "task.md").write_text("Do it")
    arguments = """--prompt-file TASK --state-file a.md --state-file b.md --reference-file d.md --max-turns 5
        --loop-delay 2m --turn-timeout 1.5h --attempts 2 --log a.md --pattern ^DONE$ --stop-file stop --max-tokens 100
        --max-duration 1d --watch a.md --include **/*.py --exclude x/** --env A=b=c --env D= --epic e-1
        --meta who=me -- ./agent.sh"""
    (body, single), _ = posted(*arguments.replace("TASK", str(tmp_path / "task.md")).split())
    assert body == {
        "agent": {"kind": "command", "command": ["./agent.sh"]},
        "working_dir": str(tmp_path),
        "prompt": {"template": "Do it", "state_files": ["a.md", "b.md"], "reference_files": ["d.md"]},
        "max_turns": 5,
        "loop_delay_seconds": 120.0,
        "turn_timeout_seconds": 5400.0,
        "turn_attempts": 2,
        "completion": {"log": "a.md", "pattern": "^DONE$", "stop_file": "stop"},
        "budget": {"max_tokens": 100, "max_duration_seconds": 86400.0},
        "watch": {"logs": ["a.md"], "include": ["**/*.py"], "exclude": ["x/**"]},
        "env": {"A": "b=c", "D": ""},
        "epic_id": "e-1",
        "metadata": {"who": "me"},
    }
    assert not single
    ContinuousRunRequest.model_validate(body)


AGENTS = {
    "--agent codex --model m --reasoning high --approval never --sandbox read-only":
        {"kind": "codex", "model": "m", "reasoning": "high", "approval": "never", "sandbox": "read-only"},
    "--agent claude-code --permission-mode plan": {"kind": "claude-code", "permission_mode": "plan"},
    "--agent openai --model m --instructions Hm. --max-steps 7":
        {"kind": "openai", "model": "m", "instructions": "Hm.", "max_steps": 7},
    "--agent anthropic --model m --thinking-budget 2048 --tool shell --tool read_file":
        {"kind": "anthropic", "model": "m", "thinking_budget": 2048, "tools": ["shell", "read_file"]},
}  # fmt: skip


@pytest.mark.parametrize("arguments", AGENTS)
def test_another_agent_takes_one_turn(posted, arguments, tmp_path):
    (body, single), _ = posted(*arguments.split(), "--prompt", "Go")
    assert body == {"agent": AGENTS[arguments], "prompt": "Go", "working_dir": str(tmp_path)}
    assert single
    SingleRunRequest.model_validate(body)
    again, single = posted(*arguments.split(), "--prompt", "Go", "--once", "--thread", "t_1")[0]
    assert (again, single) == ({**body, "thread_id": "t_1"}, True)


@pytest.mark.parametrize(
    "more", ["--max-turns 5", "--log a.md --pattern DONE", "--stop-file s", "--max-tokens 9", "--max-duration 1h",
             "--loop-delay 1m", "--state-file a.md"],
)  # fmt: skip
def test_another_agent_takes_more_turns_if_that_is_spoken_of(posted, more):
    (body, single), _ = posted("--agent", "codex", "--prompt", "Go", *more.split())
    assert not single
    assert body.get("max_turns") == (5 if "--max-turns" in more else None)
    ContinuousRunRequest.model_validate(body)


@pytest.mark.parametrize("more", ["--env A=b", "--epic e", "--attempts 1", "--reference-file a.md"])
def test_what_only_a_continuous_run_has_does_not_make_it_endless(posted, more):
    (body, single), _ = posted("--agent", "codex", "--prompt", "Go", *more.split())
    assert not single
    assert body["max_turns"] == 1
    ContinuousRunRequest.model_validate(body)


def test_a_model_without_tools_needs_no_directory(posted):
    (body, single), _ = posted("--agent", "openai", "--model", "m", "--no-tools", "--prompt", "Go")
    assert body == {"agent": {"kind": "openai", "model": "m", "tools": []}, "prompt": "Go"}
    assert single


def test_once_is_a_single_turn(posted):
    (body, single), _ = posted("--once", "--thread", "t_1", "--prompt-file", "-", "--", "cat", stdin="Hello\n")
    assert body.keys() == {"agent", "working_dir", "prompt", "thread_id"}
    assert body["prompt"] == "Hello\n"
    assert single
    SingleRunRequest.model_validate(body)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "what shall run?"),
        ("--agent codex -- ./x", "is for --agent command"),
        ("--prompt a --prompt-file - -- x", "exclude each other"),
        ("--once --max-turns 3 -- x", "not: max_turns"),
        ("--once --state-file a.md -- x", "state or reference files"),
        ("--thread t -- x", "--thread is for a single turn"),
        ("--thread t --agent codex --prompt a --max-turns 2", "--thread is for a single turn"),
        ("--thread t --agent codex --prompt a --env A=b", "--thread is for a single turn"),
        ("--agent codex", "what shall codex do?"),
        ("--agent openai --prompt a", "--agent openai needs a --model, such as gpt-5-mini"),
        ("--agent openai --model m --sandbox read-only --prompt a", "--sandbox is for codex, not for openai"),
        ("--agent openai --model m --thinking-budget 2000 --prompt a", "is for anthropic, not for openai"),
        ("--model m -- x", "--model is for codex, claude-code, openai, anthropic, not for command"),
        ("--agent codex --no-tools --prompt a", "--no-tools is for openai, anthropic, not for codex"),
        ("--agent openai --model m --tool shell --no-tools --prompt a", "exclude each other"),
        ("--loop-delay soon -- x", "not a duration"),
        ("--env A -- x", "not K=V"),
        ("--agent siri", "Invalid value for '--agent'"),
    ],
)
def test_what_cannot_go_together_is_a_usage_error(posted, arguments, message):
    _, result = posted(*arguments.split())
    assert result.exit_code == UsageError.exit_code == 2
    assert message in result.output
