"""`cody dev --fake-providers`: every agent does a turn without a key, with its real SDK and its real binary."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.service import Service, eventually, running

AGENTS = (
    {"kind": "openai", "model": "gpt-5-mini"},
    {"kind": "anthropic", "model": "claude-haiku-4.5"},
    {"kind": "codex", "model": "gpt-5-codex"},
    {"kind": "claude-code", "model": "claude-sonnet-4.5"},
)


@pytest.fixture(scope="module")
def faked(tmp_path_factory: pytest.TempPathFactory) -> Generator[Service]:
    root = tmp_path_factory.mktemp("faked")
    (root / "codex").mkdir()
    env = {
        "HOME": str(root),  # a login shell reads no profile of the machine's
        "CODEX_HOME": str(root / "codex"),
        "CLAUDE_CONFIG_DIR": str(root / "claude"),
        # The option wins over what the user has set.
        "OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
        "ANTHROPIC_API_KEY": "a-real-key",
    }
    with running(root, env, options=["--fake-providers"]) as service:
        yield service


def turn(service: Service, agent: dict[str, str], place: Path) -> dict[str, Any]:
    request = {"agent": agent, "prompt": "What is here?", "working_dir": str(place)}
    accepted = service.http.post("/api/runs", json=request).raise_for_status().json()

    def ended() -> dict[str, Any] | None:
        snapshot = service.http.get(accepted["links"]["self"]).json()
        return snapshot if snapshot["finished_at"] else None

    snapshot = eventually(ended, what=f"the end of {accepted['run_id']}")
    assert snapshot["status"] == "completed", snapshot
    return service.http.get(accepted["links"]["responses"]).json()["responses"][0]


@pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent["kind"])
def test_every_agent_looks_around_with_a_tool_and_answers(agent: dict[str, str], faked: Service):
    place = faked.workspace()
    (place / "found.txt").write_text("here\n")
    response = turn(faked, agent, place)
    items = response["output_items"]
    assert [item["type"] for item in items] == ["message", "function_call", "function_call_output", "message"]
    assert items[2]["success"]
    assert "found.txt" in items[2]["output"]
    assert "fake provider" in items[3]["content"]
    assert response["usage"] == {**response["usage"], "prompt_tokens": 240, "completion_tokens": 80}


def test_codex_with_a_model_of_its_own_choice_looks_around_by_code(faked: Service):
    place = faked.workspace()
    (place / "found.txt").write_text("here\n")
    items = turn(faked, {"kind": "codex"}, place)["output_items"]
    assert any("found.txt" in item["output"] for item in items if item["type"] == "function_call_output")
    assert "fake provider" in [item["content"] for item in items if item["type"] == "message"][-1]


def test_the_welcome_says_that_providers_are_faked(faked: Service):
    said = faked.said.read_text()
    assert "Fake providers" in said
    assert "--agent openai" in said
    addresses = (faked.data_dir / "service.env").read_text()
    assert "OPENAI_API_KEY=fake" in addresses
    assert "a-real-key" not in addresses
