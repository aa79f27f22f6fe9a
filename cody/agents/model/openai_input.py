"""A conversation as OpenAI's Responses API wants it, and which of its fields a model takes."""

import re
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from cody.agents.model.protocol import Entry, Question, UserText
from cody.contract.items import FunctionCallItem, FunctionCallOutputItem, MessageItem, ReasoningItem

KIND: Final = "openai"
LONGEST: Final = 64
"""Characters that the API allows for the name of a function and for the id of a call."""
_NOT_IN_NAME: Final = re.compile(r"[^A-Za-z0-9_-]")
_REASONING: Final = re.compile(r"(?:^|/)(?:gpt-[5-9]|o\d)|codex", re.IGNORECASE)
_PLAIN: Final = re.compile(r"-chat|gpt-oss", re.IGNORECASE)


def reasons(model: str) -> bool:
    """Whether a model of this name takes the fields about reasoning, which others refuse with a 400."""
    return bool(_REASONING.search(model)) and not _PLAIN.search(model)


def parameters(question: Question, *, reasoning: bool) -> dict[str, Any]:
    """The body of the request; only what is needed, as servers of other makes refuse what they do not know.

    Nothing is stored at the provider, so a reasoning item comes with its encrypted content and is sent back whole.
    """
    given: dict[str, Any] = {
        "model": question.model,
        "input": _Conversation(question.entries).items,
        "store": False,
    }
    if question.instructions:
        given["instructions"] = question.instructions
    if question.tools:
        given["tools"] = [
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": dict(tool.parameters),
                "strict": False,
            }
            for tool in question.tools
        ]
    if reasoning:
        given["reasoning"] = {"summary": "auto"}
        given["include"] = ["reasoning.encrypted_content"]
    return given


class _Conversation:
    """The entries as input items.

    The API pairs a call with its output by an id, which agents whose turns are in the thread may have used before; what
    comes from them is also brought into the characters and the length that it allows.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._taken: set[str] = set()
        self._waiting: dict[str, deque[str]] = {}
        self.items = [item for entry in entries if (item := self._item(entry)) is not None]

    def _item(self, entry: Entry) -> dict[str, Any] | None:
        """None for what the model is not told again."""
        if isinstance(entry, UserText):
            return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": entry.text}]}
        match entry.item:
            case MessageItem(content=content) if content:
                return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": content}]}
            case FunctionCallItem() as call:
                call_id = self._unique(call.call_id)
                self._waiting.setdefault(call.call_id, deque()).append(call_id)
                name = _NOT_IN_NAME.sub("_", call.name)[:LONGEST] or "tool"
                return {"type": "function_call", "call_id": call_id, "name": name, "arguments": call.arguments}
            case FunctionCallOutputItem() as output if waiting := self._waiting.get(output.call_id):
                return {"type": "function_call_output", "call_id": waiting.popleft(), "output": output.output}
            case ReasoningItem() if entry.replay is not None and entry.replay.get("provider") == KIND:
                return dict(entry.replay["item"])
            case _:
                return None

    def _unique(self, wanted: str) -> str:
        call_id, number = wanted[:LONGEST] or "call", 1
        while call_id in self._taken:
            number += 1
            suffix = f"_{number}"
            call_id = (wanted or "call")[: LONGEST - len(suffix)] + suffix
        self._taken.add(call_id)
        return call_id
