import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from cody.cli.phrases import clean, duration
from cody.cli.sse import Frame
from cody.cli.watching import ForMachine, ForPerson
from cody.contract.errors import CursorProblem
from cody.contract.runs import Snapshot
from tests.unit.cli.cli_server import event, snapshot

GOLDEN = Path(__file__).parent / "golden"


class Script:
    """The entries of a run, written as its parts say them."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def say(self, type_: str, turn: int = 0, attempt: int = 0, at: int = 1_000, **payload: object) -> None:
        data = event(type_, turn, attempt, at, **payload)
        self.frames.append(Frame(f"{len(self.frames) + 1}-{turn * 1000 + attempt}", type_, data))


def shown(script: Script, status: str = "completed", **fields: object) -> str:
    page = io.StringIO()
    output = ForPerson(Console(file=page, width=80))
    for each in script.frames:
        output.entry(each)
    output.end(status, Snapshot.model_validate(snapshot(status=status, **fields)))
    return page.getvalue()


def command_run() -> Script:
    script = Script()
    script.say("run_queued")
    script.say("run_started")
    turn = {"turn": 1, "attempt": 1}
    script.say("turn_started", **turn, at=2_000, pid=7, agent="command", model="agent.sh")
    script.say("response_start", **turn, response_id="r", turn_id="t", thread_id="x", model_id="agent.sh",
               provider_id="command", created_at=0)  # fmt: skip
    script.say("subprocess_output", **turn, stream="stdout", text="Looking at the code.\nI will ", omitted_bytes=0)
    script.say("file_read", **turn, path="stats.py", bytes=507)
    script.say("subprocess_output", **turn, stream="stdout", text="mend \x1b[31mit\x1b[0m.\n\nDone", omitted_bytes=0)
    script.say("subprocess_output", **turn, stream="stderr", text="deprecated\r\n", omitted_bytes=0)
    script.say("subprocess_output", **turn, stream="stdout", text="late\n", omitted_bytes=12345)
    script.say("file_written", **turn, path="stats.py", bytes=1)
    script.say("file_written", **turn, path="stats.py", bytes=2)
    script.say("file_deleted", **turn, path="old[1].py")
    script.say("test_run_started", **turn, command="pytest -q")
    script.say("test_run_completed", **turn, command="pytest -q", passed=3, failed=1, skipped=2, duration_ms=400)
    script.say("token_usage", **turn, prompt_tokens=700, completion_tokens=140, total_tokens=840)
    script.say("token_usage", **turn, prompt_tokens=60, completion_tokens=8, total_tokens=0)
    script.say("log_updated", **turn, kind="log.md", path="log.md",
               delta={"added_bytes": 9, "added_lines": 2, "tail": ["- [x] mended", ""]})  # fmt: skip
    script.say("item_start", **turn, item_id="m", item_type="message")
    script.say("item_delta", **turn, item_id="m", delta_content="Looking at the code.")
    script.say("item_done", **turn, item_id="m", final_item={"type": "message", "id": "m", "content": "Looking"})
    script.say("turn_failed", **turn, at=3_200, error={"code": "agent_exit", "message": "exit code 3"}, will_retry=True)
    turn["attempt"] = 2
    script.say("turn_started", **turn, at=4_000, agent="command", model="agent.sh")
    script.say("warning", **turn, code="invalid_telemetry", message="a line\nthat is\x07 odd")
    for number in range(15):
        script.say("file_written", **turn, path=f"out/{number}.txt")
    script.say("completion_detected", **turn, source="pattern", line="ALL DONE")
    script.say("turn_completed", **turn, at=129_000, should_continue=False,
               usage={"prompt_tokens": 1000, "completion_tokens": 234, "total_tokens": 1234})  # fmt: skip
    script.say("run_pausing", reason="lunch")
    script.say("run_paused", reason="lunch")
    script.say("run_resumed")
    script.say("log_gap", **{"from": 40, "to": 44})
    script.say(
        "run_completed", reason="completion", completion={"detected": True, "source": "pattern", "line": "ALL DONE"}
    )
    return script


def model_run() -> Script:
    script = Script()
    turn = {"turn": 1, "attempt": 1}
    script.say("turn_started", **turn, at=2_000, agent="codex", model="gpt")
    script.say("response_start", **turn, response_id="r", turn_id="t", thread_id="x", model_id="gpt",
               provider_id="openai", created_at=0)  # fmt: skip
    script.say("item_start", **turn, item_id="th", item_type="reasoning")
    script.say("item_delta", **turn, item_id="th", delta_content="Hm.")
    script.say("item_done", **turn, item_id="th", final_item={"type": "reasoning", "id": "th", "content": "Hm."})
    script.say("item_start", **turn, item_id="m", item_type="message", initial_content="Hel")
    script.say("item_delta", **turn, item_id="m", delta_content="lo\nthere")
    script.say("item_done", **turn, item_id="m", final_item={"type": "message", "id": "m", "content": "Hello\nthere"})
    script.say("item_start", **turn, item_id="c", item_type="function_call", name="shell", call_id="1")
    script.say("item_delta", **turn, item_id="c", delta_content='{"command"')
    call = {"type": "function_call", "id": "c", "name": "shell", "arguments": '{"command": "ls\\n"}', "call_id": "1"}
    script.say("item_done", **turn, item_id="c", final_item=call)
    answer = {"type": "function_call_output", "id": "o", "call_id": "1", "output": "no such file", "success": False}
    script.say("item_start", **turn, item_id="o", item_type="function_call_output")
    script.say("item_done", **turn, item_id="o", final_item=answer)
    listing = {**answer, "id": "o2", "output": "exit code: 0\na.py\n\nb.py\n", "success": True}
    script.say("item_done", **turn, item_id="o2", final_item=listing)
    script.say("item_done", **turn, item_id="o3", final_item={**listing, "id": "o3", "output": "\n"})
    # A whole item whose text never came in pieces.
    script.say("item_done", **turn, item_id="w", final_item={"type": "message", "id": "w", "content": "Whole."})
    script.say(
        "usage_update", **turn, response_id="r", usage={"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    )
    script.say(
        "usage_update", **turn, response_id="r", usage={"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    )
    script.say("turn_aborted_by_user", **turn, at=2_340, turn_id="t", reason="manual")
    receipt = {"requested_at": 2_000, "quiet_at": 2_340, "signals": ["SIGTERM"], "reaped": [7], "survivors": []}
    script.say("run_cancelling")
    script.say("run_cancelled", reason="manual", receipt=receipt)
    return script


@pytest.mark.parametrize(
    ("name", "script", "status"), [("command", command_run(), "completed"), ("model", model_run(), "cancelled")]
)
def test_a_run_reads_as_its_golden_text(name, script, status):
    assert shown(script, status) == (GOLDEN / f"{name}.txt").read_text()


def test_a_failed_run_says_why():
    script = Script()
    script.say("run_failed", error={"code": "survivors", "message": "2 processes are left"})
    assert shown(script, "failed") == "failed: 2 processes are left (survivors) · 3 turns · 2,724 tokens · 5.1 s\n"


def test_a_run_that_ended_before_is_told_from_its_snapshot():
    error = {"code": "workflow_terminated", "message": "it was terminated"}
    line = shown(Script(), "failed", error=error, started_at=None, finished_at=None, stats={"turns": 1})
    assert line == "failed: it was terminated (workflow_terminated) · 1 turn\n"


def test_what_a_newer_service_says_is_passed_over_or_named():
    script = Script()
    script.say("a_type_of_tomorrow", anything=1)
    script.say("turn_started", turn=1, attempt=1)
    script.say("run_completed", reason="max_turns", more="than known")
    assert shown(script).splitlines() == [
        "  an event at 2-1001 cannot be read (1 fault)",
        "completed: all its turns are done · 3 turns · 2,724 tokens · 5.1 s",
    ]


def test_a_machine_gets_each_event_as_it_was_sent(capsys):
    output = ForMachine()
    script = command_run()
    for each in script.frames:
        output.entry(each)
    output.note("left")
    output.reset(CursorProblem(title="", status=410, detail="gone", code="stream_trimmed", earliest_cursor="5-0",
                               latest_cursor="9-0", responses="/x"))  # fmt: skip
    output.end("completed", None)
    out, err = capsys.readouterr()
    assert out.splitlines() == [each.data for each in script.frames]
    assert all(json.loads(line)["run_id"] == "run_1" for line in out.splitlines())
    assert err.splitlines() == ["left", "stream_trimmed: gone"]


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1_000, "1.0 s"),
        (59_900, "59.9 s"),
        (125_000, "2 min 5 s"),
        (12_000_000, "3 h 20 min"),
    ],
)
def test_durations(milliseconds, text):
    assert duration(milliseconds) == text


def test_an_agent_cannot_move_the_cursor():
    assert clean("a\x1b]0;title\x07b\x1b[2Jc\x1b(Bd\x9b1me\x08\r\nf\rg\tß") == "abcd1me\nf\ng\tß"
