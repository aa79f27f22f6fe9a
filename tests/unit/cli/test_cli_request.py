import pytest
from click import UsageError
from click.testing import CliRunner

from cody.cli.request import RunOptions
from cody.cli.run import command
from cody.contract.requests import ContinuousRunRequest, SingleRunRequest


@pytest.fixture
def posted(monkeypatch, tmp_path):
    """The body that `cody run` with these arguments would post, and how it ended."""

    def invoke(*arguments: str, stdin: str = ""):
        bodies = []
        original = RunOptions.body

        def body(self):
            bodies.append(original(self))
            return bodies[-1]

        monkeypatch.setattr(RunOptions, "body", body)
        # Nobody listens on port 1, so that the command ends right after it knew what to post.
        result = CliRunner().invoke(
            command, ["--url", "http://127.0.0.1:1", "--working-dir", str(tmp_path), *arguments], input=stdin
        )
        return (bodies[0] if bodies else None), result

    return invoke


def test_only_what_was_given_is_posted(posted, tmp_path):
    body, result = posted("--", "./agent.sh", "--fast")
    assert body == {"agent": {"kind": "command", "command": ["./agent.sh", "--fast"]}, "working_dir": str(tmp_path)}
    ContinuousRunRequest.model_validate(body)
    assert result.exit_code == 1
    assert "no answer from http://127.0.0.1:1" in result.output
    assert "cody dev" in result.output


def test_every_option_has_its_place(posted, tmp_path):
    (tmp_path / "task.md").write_text("Do it")
    arguments = """--prompt-file TASK --state-file a.md --state-file b.md --reference-file d.md --max-turns 5
        --loop-delay 2m --turn-timeout 1.5h --attempts 2 --log a.md --pattern ^DONE$ --stop-file stop --max-tokens 100
        --max-duration 1d --watch a.md --include **/*.py --exclude x/** --env A=b=c --env D= --epic e-1
        --meta who=me -- ./agent.sh"""
    body, _ = posted(*arguments.replace("TASK", str(tmp_path / "task.md")).split())
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
    ContinuousRunRequest.model_validate(body)


@pytest.mark.parametrize(
    ("arguments", "agent"),
    [
        ("--agent codex --model m --reasoning high --approval never --sandbox full",
         {"kind": "codex", "model": "m", "reasoning": "high", "approval": "never", "sandbox": "full"}),
        ("--agent claude-code --permission-mode plan", {"kind": "claude-code", "permission_mode": "plan"}),
        ("--agent anthropic --model m --thinking-budget 2048 --tool shell --tool read_file",
         {"kind": "anthropic", "model": "m", "thinking_budget": 2048, "tools": ["shell", "read_file"]}),
    ],
)  # fmt: skip
def test_other_agents(posted, arguments, agent):
    body, _ = posted(*arguments.split(), "--prompt", "Go")
    assert body["agent"] == agent
    assert body["prompt"] == "Go"
    ContinuousRunRequest.model_validate(body)


def test_once_is_a_single_turn(posted):
    body, _ = posted("--once", "--thread", "t_1", "--prompt-file", "-", "--", "cat", stdin="Hello\n")
    assert body.keys() == {"agent", "working_dir", "prompt", "thread_id"}
    assert body["prompt"] == "Hello\n"
    SingleRunRequest.model_validate(body)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "what shall run?"),
        ("--agent codex -- ./x", "is for --agent command"),
        ("--prompt a --prompt-file - -- x", "exclude each other"),
        ("--once --max-turns 3 -- x", "not: max_turns"),
        ("--once --state-file a.md -- x", "state or reference files"),
        ("--thread t -- x", "--thread is for --once"),
        ("--loop-delay soon -- x", "not a duration"),
        ("--env A -- x", "not K=V"),
        ("--agent siri", "Invalid value for '--agent'"),
    ],
)
def test_what_cannot_go_together_is_a_usage_error(posted, arguments, message):
    _, result = posted(*arguments.split())
    assert result.exit_code == UsageError.exit_code == 2
    assert message in result.output
