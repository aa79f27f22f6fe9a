"""What Claude Code says, as the turn's events. Pure: raw messages of its `stream-json` output go in, events come out.

The main conversation becomes items (see `blocks`): text and thinking as they stream, tool calls with their
streamed arguments, and the tools' answers. What a subagent says belongs to the call that started it, whose answer is
its report: its messages are no items, but the files that its tools read and write are told.

A block is kept once its `assistant` message came, or the message it is in has ended properly. When the API's stream
dies, Claude Code abandons the block that was under way (its `content_block_stop` comes without either). If it goes on
by a new message that block is cancelled, with a warning; if the turn fails of it, it ends with the turn's error.
"""

from pathlib import Path
from typing import Final, Literal, cast

from cody.agents.drivers.claude_code.blocks import Blocks, Raw, Voice, text_of
from cody.agents.drivers.claude_code.tools import ToolReports
from cody.agents.drivers.claude_code.usage import TurnUsage
from cody.contract.errors import PERMISSION_DENIED, PROVIDER_CUT, PROVIDER_RETRY, ErrorInfo
from cody.contract.payloads import UsageUpdate, Warned

Phase = Literal["asked", "answering", "working"]
"""What is waited for: the first sign of an answer, more of it, or tools."""

INTERRUPTED: Final = "interrupted"
SYNTHETIC: Final = "<synthetic>"
"""The model of messages that Claude Code made itself."""


class Messages:
    """One turn. `hear` each message in order; `result` is the last one, once it came."""

    def __init__(self, voice: Voice, root: Path, response_id: str) -> None:
        self._voice = voice
        self._response_id = response_id
        self._blocks = Blocks(voice)
        self._tools = ToolReports(voice, root)
        self._running: set[str] = set()
        self._doubt: str | None = None
        self._stopped = False
        self.usage = TurnUsage()
        self.phase: Phase = "asked"
        self.session: str | None = None
        self.result: Raw | None = None
        self.kind: str | None = None
        """The kind of API error that Claude Code spoke of last."""
        self.answer_began = False
        """Whether the newest request has got some of its answer."""

    def hear(self, raw: Raw) -> None:
        """Take in a message of Claude Code."""
        type_ = raw.get("type")
        if type_ == "result":
            self._result(raw)
        elif self._stopped:
            return
        elif type_ == "stream_event" and not raw.get("parent_tool_use_id"):
            self._event(raw["event"])
        elif type_ == "assistant":
            self._assistant(raw)
        elif type_ == "user":
            self._user(raw)
        elif type_ == "system":
            self._system(raw)

    def stop(self, error: ErrorInfo | None = None) -> None:
        """The turn is interrupted, or has failed: nothing is told any more but its usage."""
        self._stopped = True
        if error is None:
            self._blocks.abandon(INTERRUPTED)
        else:
            self._blocks.fail(error)
        self._blocks.leave(INTERRUPTED if error is None else error.message)

    # By the type of message.

    def _system(self, raw: Raw) -> None:
        subtype = raw.get("subtype")
        if subtype == "init":
            self.session = str(raw["session_id"])
            self._voice.remember(claude_session=self.session)
            self._voice.begin(raw.get("model"))
        elif subtype == "status" and raw.get("status") == "requesting":
            self.answer_began = False
        elif subtype == "api_retry":
            after = f"after {raw.get('error_status') or raw.get('error')}, in {raw.get('retry_delay_ms')} ms"
            message = f"Claude Code repeats its request {after} ({raw.get('attempt')} of {raw.get('max_retries')})"
            self._warn(PROVIDER_RETRY, message)
        elif subtype == "permission_denied":
            self._warn(PERMISSION_DENIED, f"{raw.get('tool_name')} was denied: {raw.get('message')}")

    def _event(self, event: Raw) -> None:
        """An event of the API's stream, as the API sent it."""
        self.answer_began = True
        if not self._running:
            self.phase = "answering"
        match event["type"]:
            case "message_start":
                self._go_on()
                message = event["message"]
                self._blocks.message_id = str(message["id"])
                self.usage.began(self._blocks.message_id, message.get("usage") or {})
            case "content_block_start":
                self._blocks.start(event["index"], event["content_block"])
            case "content_block_delta":
                self._blocks.delta(event["index"], event["delta"])
            case "message_delta" if event["delta"].get("stop_reason"):
                self._blocks.finish()
                self.usage.ended(event.get("usage") or {})
                self._tell_usage()
            case _:
                pass

    def _assistant(self, raw: Raw) -> None:
        """A block that is whole, or all blocks of a message that did not stream."""
        message = raw["message"]
        blocks = cast("list[Raw]", message["content"])
        if raw.get("parent_tool_use_id"):
            self._called(blocks)
            return
        if raw.get("error"):
            self.kind = str(raw["error"])
            self._doubt = "\n".join(str(block.get("text", "")) for block in blocks)
            return
        message_id = str(message["id"])
        if message_id != self._blocks.message_id:
            self._go_on()
        for block in blocks:
            self._blocks.whole(message_id, block)
        self._called(blocks)
        if message.get("model") != SYNTHETIC and self.usage.came(message_id, message.get("usage") or {}):
            self._tell_usage()

    def _user(self, raw: Raw) -> None:
        """The answers of tools; the rest is what Claude Code tells the model between the lines."""
        content = raw["message"]["content"]
        if not isinstance(content, list):
            return
        for block in cast("list[Raw]", content):
            if block.get("type") == "tool_result":
                self._answered(block, main=not raw.get("parent_tool_use_id"))

    def _result(self, raw: Raw) -> None:
        self.result = raw
        before = self.usage.total
        self.usage.settled(raw)
        if self.usage.total != before:
            self._tell_usage()
        if not self._stopped and not raw.get("is_error"):
            self._go_on()

    # Tools.

    def _called(self, blocks: list[Raw]) -> None:
        for block in blocks:
            if block.get("type") == "tool_use":
                call_id = str(block["id"])
                self._running.add(call_id)
                self._tools.called(call_id, str(block["name"]), block.get("input") or {})
        if self._running:
            self.phase = "working"

    def _answered(self, block: Raw, *, main: bool) -> None:
        call_id, output = str(block["tool_use_id"]), text_of(block.get("content"))
        success = not block.get("is_error")
        self._running.discard(call_id)
        if not self._running:
            self.phase = "asked"
        self._tools.answered(call_id, output, success=success)
        if main:
            self._blocks.answered(call_id, output, success=success)

    # Words beside the items.

    def _go_on(self) -> None:
        """Claude Code goes on: what went wrong before is a warning, and what was under way then is abandoned."""
        said = self._doubt
        if self._blocks.abandon("the provider's stream broke off"):
            said = said or f"the answer {self._blocks.message_id} broke off"
        if said is not None:
            self._warn(PROVIDER_CUT, f"{said}; Claude Code goes on")
        self._doubt = self.kind = None

    def _tell_usage(self) -> None:
        total = self.usage.total
        if total is not None:
            self._voice.emit("usage_update", UsageUpdate(response_id=self._response_id, usage=total))

    def _warn(self, code: str, message: str) -> None:
        self._voice.emit("warning", Warned(code=code, message=message))
