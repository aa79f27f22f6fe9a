"""The commands as a person calls them, against a real server that answers as the contract says."""

import asyncio
import json

import pytest
from click.testing import CliRunner, Result

from cody.cli.group import main
from tests.unit.cli.cli_server import Answer, Request, frame, serving, snapshot, terminal

RECEIPT = {"requested_at": 1_000, "quiet_at": 1_250, "signals": ["SIGTERM"], "reaped": [7, 8], "survivors": []}
ENDINGS = {
    "completed": ("run_completed", {"reason": "max_turns"}, 0),
    "failed": ("run_failed", {"error": {"code": "agent_exit", "message": "exit code 3"}}, 1),
    "cancelled": ("run_cancelled", {"reason": "manual", "receipt": RECEIPT}, 3),
}


async def cody(url: str, *arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, main, [arguments[0], "--url", url, *arguments[1:]])


class Service:
    """One run, whose stream is two entries and its end."""

    def __init__(self, ending: str = "completed") -> None:
        self.ending = ending

    async def __call__(self, request: Request, answer: Answer) -> None:
        type_, payload, _ = ENDINGS[self.ending]
        path = request.target.split("?")[0]
        if path.endswith("/stream"):
            if request.headers.get("last-event-id") == "3-0":
                await answer.empty(204)
                return
            await answer.stream()
            await answer.chunk(frame(1, "run_queued", reason="x") + frame(2) + frame(3, type_, **payload))
        elif path.endswith("/control"):
            action = json.loads(request.body)["action"]
            await answer.json(202, {"run_id": "run_1", "action": action, "status": "cancelling"})
        elif request.method == "POST":
            await answer.json(202, {**snapshot(), "status": "queued"})
        else:
            await answer.json(200, snapshot(status=self.ending, working_dir="/w", cursor="3-0"))


@pytest.mark.parametrize("ending", ENDINGS)
async def test_run_ends_with_a_clear_line_and_its_exit_code(ending, tmp_path):
    async with serving(Service(ending)) as (url, seen):
        result = await cody(
            url, "run", "--working-dir", str(tmp_path), "--idempotency-key", "k", "--once", "--", "true"
        )
    lines = result.stdout.splitlines()
    assert lines[0].startswith("run_1 · ")
    assert lines[1] == "  warning: y (x)"
    assert lines[-1].startswith(f"{ending}")
    assert lines[-1].endswith("3 turns · 2,724 tokens · 5.1 s")
    assert result.exit_code == ENDINGS[ending][2]
    assert (seen[0].target, seen[0].headers["idempotency-key"]) == ("/api/runs", "k")


async def test_run_for_a_machine(tmp_path):
    async with serving(Service()) as (url, _):
        result = await cody(url, "run", "--json", "--working-dir", str(tmp_path), "--", "true")
    assert [json.loads(line)["type"] for line in result.stdout.splitlines()] == [
        "run_queued",
        "warning",
        "run_completed",
    ]


async def test_run_detached_prints_the_id_alone_on_stdout(tmp_path):
    async with serving(Service()) as (url, seen):
        result = await cody(url, "run", "--detach", "--working-dir", str(tmp_path), "--", "true")
        told = await cody(url, "run", "--detach", "--json", "--working-dir", str(tmp_path), "--", "true")
    assert result.stdout == "run_1\n"
    assert "cody watch run_1" in result.stderr
    assert json.loads(told.stdout)["links"]["self"] == "/x"
    assert [request.target for request in seen] == ["/api/runs/continuous"] * 2


async def test_watch_a_run_that_is_over():
    async with serving(Service("failed")) as (url, _):
        result = await cody(url, "watch", "run_1", "--from", "latest")
    assert result.stdout.splitlines()[-1] == "failed · 3 turns · 2,724 tokens · 5.1 s"
    assert result.exit_code == 1


async def test_cancel_waits_for_the_receipt():
    async def handler(request: Request, answer: Answer) -> None:
        if request.target == "/api/runs/run_1":
            await answer.json(200, snapshot(status="cancelling", cursor="2-0"))
        else:
            await Service("cancelled")(request, answer)

    async with serving(handler) as (url, seen):
        result = await cody(url, "cancel", "run_1", "--wait", "--reason", "enough")
    assert result.stdout.splitlines() == [
        "run_1 is cancelling",
        "cancelled (manual): quiet after 250 ms, 2 processes ended, none left · 3 turns · 2,724 tokens · 5.1 s",
    ]
    assert result.exit_code == 0
    assert json.loads(seen[0].body) == {"action": "cancel", "reason": "enough"}


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        (["pause", "run_1"], {"action": "pause", "mode": "after_turn"}),
        (["pause", "run_1", "--now", "--reason", "r"], {"action": "pause", "mode": "now", "reason": "r"}),
        (["resume", "run_1"], {"action": "resume"}),
        (["cancel", "run_1"], {"action": "cancel"}),
    ],
)
async def test_controls(arguments, body):
    async with serving(Service()) as (url, seen):
        result = await cody(url, *arguments)
    assert result.exit_code == 0
    assert result.stdout.startswith("run_1 is cancelling")
    assert json.loads(seen[0].body) == body


async def test_a_control_that_is_refused_says_why():
    async def handler(_: Request, answer: Answer) -> None:
        await answer.problem(409, "invalid_transition", run_status="completed")

    async with serving(handler) as (url, _):
        result = await cody(url, "resume", "run_1")
    assert (result.exit_code, result.stderr) == (1, "error: it is invalid_transition\n")


async def test_runs_are_collected_page_by_page():
    async def handler(request: Request, answer: Answer) -> None:
        first = "cursor=" not in request.target
        name = "run_1" if first else "run_2"
        await answer.json(200, {"runs": [snapshot(run_id=name, epic_id="e")], "next_cursor": "more" if first else None})

    async with serving(handler) as (url, seen):
        table = await cody(url, "runs", "--status", "failed", "--epic", "e", "--limit", "150")
        lines = await cody(url, "runs", "--json", "--limit", "1")
    assert [line.split()[0] for line in table.stdout.splitlines()] == ["RUN", "run_1", "run_2"]
    assert seen[0].target == "/api/runs?limit=100&status=failed&epic_id=e"
    assert seen[1].target == "/api/runs?limit=100&cursor=more&status=failed&epic_id=e"
    assert [json.loads(line)["run_id"] for line in lines.stdout.splitlines()] == ["run_1"]


async def test_no_runs():
    async def handler(_: Request, answer: Answer) -> None:
        await answer.json(200, {"runs": [], "next_cursor": None})

    async with serving(handler) as (url, _):
        assert (await cody(url, "runs")).stdout == "no runs\n"


def test_nobody_there():
    result = CliRunner().invoke(main, ["runs", "--url", "http://127.0.0.1:1"])
    assert result.exit_code == 1
    assert "http://127.0.0.1:1" in result.stderr
    assert "cody dev" in result.stderr


def test_verify_of_a_service_that_is_not_there_leaves_no_directory(tmp_path):
    result = CliRunner().invoke(main, ["verify", "--url", "http://127.0.0.1:1", "--working-dir", str(tmp_path)])
    assert result.exit_code == 1
    assert not list(tmp_path.iterdir())


async def test_verify_says_what_differs(tmp_path):
    """A service whose documents do not hold what it streamed."""

    async def handler(request: Request, answer: Answer) -> None:
        start = {"response_id": "r", "turn_id": "t", "thread_id": "x", "model_id": "sh", "provider_id": "command"}
        path = request.target
        if path.endswith("/responses"):
            await answer.json(200, {"responses": []})
        elif path.endswith("/stream") and request.headers.get("last-event-id") == "3-0":
            await answer.empty(204)
        elif path.endswith("/stream"):
            await answer.stream()
            await answer.chunk(frame(1, "response_start", created_at=0, **start) + frame(3) + terminal(3))
        else:
            await Service()(request, answer)

    async with serving(handler) as (url, _):
        result = await cody(url, "verify", "--working-dir", str(tmp_path))
    assert result.exit_code == 1
    assert "✗ entries are dense from 1, in order" in result.stdout
    assert "differs: 3 stands at place 2" in result.stderr
    assert "differs: there is none" in result.stderr
