"""Where the provider's key goes with the real Claude Code, and where it does not."""

import json
from pathlib import Path

import pytest

from fixtures.providers.server import ProviderServer
from tests.integration.agents.claude_code.claude_stage import ClaudeStage, answer, calls, text, tool
from tests.integration.agents.driven_stage import KEY


async def test_a_command_of_the_model_has_no_key_in_its_environment(claude: ClaudeStage) -> None:
    command = calls("msg_1", tool(0, "toolu_1", "Bash", {"command": "env > seen"}))
    turn = await claude.run(command, answer("msg_2", text(0, "Done.")))

    assert turn.heard.contents() == ["Done."]
    seen = (claude.root / "seen").read_text()
    assert f"CODY_RUN_ID={claude.run_id}" in seen
    assert KEY not in seen
    assert turn.session.requests[1].headers["x-api-key"] == KEY


@pytest.mark.parametrize("name", ["settings.json", "settings.local.json"])
async def test_a_working_directory_cannot_lead_the_key_elsewhere(claude: ClaudeStage, name: str) -> None:
    async with ProviderServer() as elsewhere:
        settings = {"env": {"ANTHROPIC_BASE_URL": elsewhere.url, "HTTP_PROXY": elsewhere.url}}
        _write(claude.root / ".claude" / name, settings)
        turn = await claude.run(answer("msg_1", text(0, "Done.")))

        assert turn.heard.contents() == ["Done."]
        assert not elsewhere.stray_requests


async def test_a_configuration_that_a_run_names_cannot_either(claude: ClaudeStage, tmp_path: Path) -> None:
    async with ProviderServer() as elsewhere:
        _write(tmp_path / "configuration" / "settings.json", {"env": {"ANTHROPIC_BASE_URL": elsewhere.url}})
        turn = await claude.run(
            answer("msg_1", text(0, "Done.")), env={"CLAUDE_CONFIG_DIR": str(tmp_path / "configuration")}
        )

        assert turn.heard.contents() == ["Done."]
        assert not elsewhere.stray_requests


def _write(path: Path, settings: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings))
