import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

from cody.agents.connections import Connection
from cody.agents.drivers.speech import Order
from tests.integration.agents.codex.codex_stage import MODEL, CodexStage, answer, message, patch, tool

WITHOUT_SDK = """
import sys
sys.modules["openai_codex"] = None
from cody.agents.drivers.codex.driver import turn
from cody.agents.drivers.program import run
run(turn)
"""


def an_order(**more: object) -> Order:
    fields = {
        "agent": {"kind": "codex"}, "prompt": "hello", "attempt": 1, "response_id": "resp_1", "answer_seconds": 1.0,
        "silence_seconds": 1.0, "max_output_bytes": 2048, "max_output_events_per_second": 10,
    }  # fmt: skip
    return Order.model_validate(fields | more)


def test_without_the_sdk_the_turn_fails_and_says_how_to_get_it(tmp_path: Path) -> None:
    order = an_order(carry={"codex_thread": "kept"})
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_SDK], input=order.model_dump_json() + "\n", capture_output=True, text=True,
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    end = json.loads(done.stdout)["end"]
    assert (end["error"]["code"], end["error"]["retryable"]) == ("agent_unavailable", False)
    assert "pip install 'cody[codex]'" in end["error"]["message"]
    assert end["carry"] == {"codex_thread": "kept"}


async def test_turns_that_make_a_new_home_at_once_all_begin(codex: CodexStage) -> None:
    turns = await asyncio.gather(*(codex.run(answer(message("msg_a", "Here."))) for _ in range(4)))
    assert [turn.ended.error for turn in turns] == [None] * 4


async def test_without_address_and_key_codex_uses_the_users_own_provider(codex: CodexStage) -> None:
    turn = codex.play(answer(message("msg_a", "from mine")))
    (codex.home / "codex" / "config.toml").write_text(
        'model_provider = "mine"\n[model_providers.mine]\nname = "mine"\nwire_api = "responses"\n'
        f'base_url = "{turn.session.openai_base_url}"\n'
    )
    await codex.take(turn, connection=Connection())
    assert turn.ended.error is None
    assert turn.heard.items("message")[0]["content"] == "from mine"
    assert "authorization" not in turn.session.requests[0].headers


async def test_the_sdk_is_silent_about_calls_that_fail_at_once(codex: CodexStage) -> None:
    """The proof of ADR 011. When it fails the SDK tells more, and `codex_transcript` may go."""
    turn = codex.play(
        answer(tool("call_1", "no_such_tool", {}), patch("call_2", "*** Delete File: nowhere.txt")),
        answer(message("msg_a", "done")),
    )
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, str(Path(__file__).with_name("sdk_program.py")), turn.session.openai_base_url, MODEL),
        cwd=codex.root,
        env={"PATH": os.environ["PATH"], "HOME": str(codex.home), "CODEX_HOME": str(codex.home / "codex")},
        stdout=subprocess.PIPE,
    )
    told, _ = await program.communicate()

    turn.session.check()
    assert json.loads(told) == ["userMessage", "agentMessage"]
