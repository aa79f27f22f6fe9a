"""The tool calls of a turn of Codex, by what the thread's file or a notification says, whichever comes first."""

import json
from collections.abc import Mapping
from typing import Any

from cody.agents.drivers.codex.commands import Commands
from cody.agents.drivers.codex.files import Files
from cody.agents.drivers.codex.outputs import Answer, answer_of
from cody.agents.drivers.codex.transcript import Call, Output
from cody.agents.model.items import Items
from cody.contract.items import FunctionCallItem, FunctionCallOutputItem

SHELL = "exec_command"
SHELLS = frozenset({SHELL, "shell", "shell_command", "local_shell"})
PATCH = "apply_patch"


class Calls:
    """Every call gets a `function_call` and one `function_call_output`."""

    def __init__(self, items: Items, commands: Commands, files: Files) -> None:
        self._items = items
        self._commands = commands
        self._files = files
        self._told: set[str] = set()
        self._filed: set[str] = set()
        self._open: dict[str, str] = {}
        self._results: dict[str, Answer] = {}

    @property
    def busy(self) -> bool:
        """Whether a tool is at work, so that the model cannot be expected to speak."""
        return bool(self._open)

    def waits(self, call_id: str) -> bool:
        """Whether the call is told, and not answered."""
        return call_id in self._open

    def filed(self, call: Call) -> None:
        """The thread's file has a call: one that is told already, from what was notified, or else a new one."""
        again = call.call_id in self._filed and call.call_id not in self._open  # some reuse their ids
        self._filed.add(call.call_id)
        if again or call.call_id not in self._told:
            self._call(call)

    def output(self, output: Output) -> None:
        """The model was answered."""
        if output.call_id not in self._open:
            return
        answer, known = answer_of(output.text), self._results.pop(output.call_id, None)
        unseen = known is None and not self._commands.running(output.call_id)
        if unseen and answer.ran and self._open[output.call_id] in SHELLS:
            # It ran without a notification, as a command does that fails in the sandbox.
            self._commands.finish(output.call_id, answer.text)
        self._answer(output.call_id, answer.text, answer.success if known is None else known.success)

    def begin(self, item: Mapping[str, Any]) -> None:
        """A tool is at work."""
        call_id, kind = str(item["id"]), item["type"]
        if kind in _BY_PROVIDER:
            return  # it says what it does when it has done it
        if call_id not in self._told:
            self._call(_made_up(call_id, item))
        if kind == "commandExecution":
            self._commands.start(call_id, item["command"])

    def end(self, item: Mapping[str, Any]) -> None:
        """A tool has done its work, or was not allowed to."""
        self.begin(item)
        call_id, kind = str(item["id"]), item["type"]
        success = item.get("status") == "completed"
        if kind == "commandExecution":
            text = item.get("aggregatedOutput") or ""
            self._commands.finish(call_id, text)
            if item.get("exitCode") is not None:
                self._answer(call_id, text, item["exitCode"] == 0)
                return
        elif kind == "fileChange" and success:
            self._files.changed(item["changes"])
        elif kind in _BY_PROVIDER:
            self._call(_made_up(call_id, item))
            self._answer(call_id, _found(item), success=True)
            return
        if call_id in self._open:
            # The text that the model gets says more; this is for the end, should it not come.
            self._results[call_id] = Answer(str(item.get("error") or item.get("status") or ""), success)

    def close(self, reason: str) -> None:
        """The turn is over: what was not answered is now."""
        for call_id in list(self._open):
            known = self._results.pop(call_id, Answer(reason, success=False))
            self._answer(call_id, known.text, known.success)

    def _call(self, call: Call) -> None:
        self._told.add(call.call_id)
        self._open[call.call_id] = call.name
        key = f"call {call.call_id}"
        item_id = self._items.start(key, call.id, "function_call", name=call.name, call_id=call.call_id)
        self._items.delta(key, call.arguments)
        self._items.done(
            key, FunctionCallItem(id=item_id, name=call.name, arguments=call.arguments, call_id=call.call_id)
        )

    def _answer(self, call_id: str, text: str, success: bool) -> None:
        if self._open.pop(call_id, None) is None:
            return
        key = f"output {call_id}"
        item_id = self._items.start(key, f"{call_id}_output", "function_call_output", call_id=call_id)
        self._items.done(key, FunctionCallOutputItem(id=item_id, call_id=call_id, output=text, success=success))


_BY_PROVIDER = frozenset({"webSearch", "imageGeneration"})
"""Tools that the provider runs: there is no call in the thread's file."""

TOOLS = frozenset({"commandExecution", "fileChange", "mcpToolCall", "dynamicToolCall", "collabAgentToolCall"})
"""Items that a call in the thread's file stands for."""

WORK = TOOLS | _BY_PROVIDER


def _made_up(call_id: str, item: Mapping[str, Any]) -> Call:
    """The call as it can be told from the work alone."""
    match item["type"]:
        case "commandExecution":
            name, arguments = SHELL, {"cmd": item["command"], "workdir": item["cwd"]}
        case "fileChange":
            name, arguments = PATCH, {"changes": item["changes"]}
        case "webSearch":
            name, arguments = "web_search", item.get("action") or {"query": item.get("query")}
        case "imageGeneration":
            name, arguments = "image_generation", {"prompt": item.get("revisedPrompt")}
        case "mcpToolCall":
            name, arguments = f"{item['server']}__{item['tool']}", item.get("arguments")
        case _:
            name, arguments = str(item.get("tool") or item["type"]), item.get("arguments") or item.get("prompt")
    return Call(call_id, call_id, name, json.dumps(arguments, ensure_ascii=False))


def _found(item: Mapping[str, Any]) -> str:
    if item["type"] == "imageGeneration":
        return str(item.get("savedPath") or item.get("status") or "")
    return json.dumps(item["results"], ensure_ascii=False) if item.get("results") else ""
