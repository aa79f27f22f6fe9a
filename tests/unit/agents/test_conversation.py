"""The conversation as text, for an agent whose own session does not know it."""

from typing import Any

from cody.agents.conversation import BEFORE, MAX_CHARS, NOW, as_text
from cody.contract.responses import Response
from cody.contract.threads import Exchange


def exchange(prompt: str, *items: dict[str, Any], status: str = "complete", **more: Any) -> Exchange:
    numbered = [{"id": f"i{number}", "origin": "agent", **item} for number, item in enumerate(items)]
    response = Response.model_validate(
        {
            "id": "r", "run_id": "run_1", "turn": 1, "attempt": 1, "turn_id": "t", "thread_id": "th", "model_id": "m",
            "provider_id": "openai", "created_at": 0, "updated_at": 0, "status": status, "output_items": numbered,
            **more,
        }
    )  # fmt: skip
    return Exchange(prompt=prompt, response=response)


def message(text: str) -> dict[str, Any]:
    return {"type": "message", "content": text}


def test_without_a_conversation_there_is_nothing_to_say():
    assert as_text([]) == ""


def test_it_has_what_was_asked_said_and_called_in_order():
    call = {"type": "function_call", "name": "shell", "arguments": '{"command": "ls"}', "call_id": "c"}
    output = {"type": "function_call_output", "call_id": "c", "output": "secrets", "success": True}
    thought = {"type": "reasoning", "content": "Hm."}
    told = as_text(
        [
            exchange("What is here?\n", thought, call, output, message("A file.\n")),
            exchange("And now?", message("Two.")),
        ]
    )
    assert told.split("\n\n") == [
        BEFORE,
        "## Turn 1",
        "User: What is here?",
        '[called shell {"command": "ls"}]',
        "Agent: A file.",
        "## Turn 2",
        "User: And now?",
        "Agent: Two.",
        NOW,
        "",
    ]


def test_it_says_how_a_turn_ended_that_was_not_well():
    error = {"code": "overloaded_error", "message": "Overloaded"}
    told = as_text([exchange("a", status="error", error=error), exchange("b", status="aborted")])
    assert "User: a\n\n[the turn failed: Overloaded]" in told
    assert "User: b\n\n[the turn was interrupted]" in told


def test_what_is_too_long_loses_its_oldest_turns():
    turns = [exchange(f"prompt {number}", message("x" * (MAX_CHARS // 3))) for number in range(1, 6)]
    told = as_text(turns)
    assert told.startswith(f"{BEFORE}\n\n[3 earlier turns are left out]\n\n## Turn 4\n\nUser: prompt 4")
    assert len(told) < MAX_CHARS + 1000


def test_the_arguments_of_a_call_are_cut():
    call = {"type": "function_call", "name": "write_file", "arguments": "x" * 5000, "call_id": "c"}
    assert len(as_text([exchange("a", call)])) < 500
