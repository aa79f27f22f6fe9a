"""What a turn of Codex says, as the turn's events: pure, so that recorded lines can be played to it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cody.agents.base import OutputLimits
from cody.agents.drivers.codex.approvals import ASKED, asked
from cody.agents.drivers.codex.calls import TOOLS, WORK, Calls
from cody.agents.drivers.codex.commands import Commands
from cody.agents.drivers.codex.ear import Told
from cody.agents.drivers.codex.errors import unreachable
from cody.agents.drivers.codex.files import Files
from cody.agents.drivers.codex.outputs import answer_of
from cody.agents.drivers.codex.texts import Texts
from cody.agents.drivers.codex.transcript import Call, Entry, Output
from cody.agents.drivers.codex.usage import Spent
from cody.agents.model.items import Items
from cody.agents.output import Throttle
from cody.contract.errors import AGENT_WARNING, PERMISSION_DENIED, PROVIDER_MALFORMED, PROVIDER_RETRY, ErrorInfo
from cody.contract.payloads import UsageUpdate, Warned

INTERRUPTED = "interrupted"
SKIPPED = "cody/skipped"
"""Heard, as if Codex notified of it, for each event of the provider's that Codex could not read and passed over."""
TEXTS = frozenset({"agentMessage", "reasoning"})

Params = Mapping[str, Any]


class Events:
    """One turn. `turn` is how it ended (Codex's `Turn`), None until then; `refused` counts how often in a row the
    provider was not there at all.
    """

    def __init__(self, told: Told, response_id: str, ids: tuple[str, str], root: Path, limits: OutputLimits) -> None:
        self._told = told
        self._response_id = response_id
        self.ids = ids
        """The thread's, and the turn's."""
        self._items = Items(told)
        self._texts = Texts(told, self._items)
        self.commands = Commands(told, Throttle("stdout", limits))
        self.calls = Calls(self._items, self.commands, Files(told, root))
        self.spent = Spent()
        self.turn: Params | None = None
        self.refused = 0
        self._skipped = 0
        self._handlers: Mapping[str, Callable[[Params], None]] = {
            "item/started": self._started,
            "item/completed": self._completed,
            "item/agentMessage/delta": self._texts.message,
            "item/reasoning/summaryTextDelta": self._texts.reasoning,
            "item/reasoning/textDelta": self._texts.reasoning,
            "item/commandExecution/outputDelta": self._output,
            "thread/tokenUsage/updated": self._usage,
            "error": self._error,
            "turn/completed": self._ended,
        }

    def needs(self, method: str, params: Params) -> str | None:
        """The call of the thread's file that must be told before this is heard, if there is one."""
        if method != "item/started" or not self._ours(params):
            return None
        item = params["item"]
        return item["id"] if item["type"] in TOOLS and not self.calls.waits(item["id"]) else None

    def hear(self, method: str, params: Params) -> bool:
        """A notification or a request of Codex's. True if it is a sign of life of the model or of its tools."""
        if method == SKIPPED:
            self._skipped += 1
            return False
        if method in ASKED:
            self._warn(PERMISSION_DENIED, asked(method, params))
            return False
        if method == "thread/tokenUsage/updated":  # of sub-agents too
            self._usage(params)
            return True
        if "turnId" not in params and "turn" not in params:
            self._beside(method, params)
            return False
        if not self._ours(params):
            return True
        if handler := self._handlers.get(method):
            handler(params)
        if not method.startswith("item/") or params.get("item", {}).get("type") == "userMessage":
            return False
        self.refused = 0
        return True

    def spoke(self, item_id: str) -> bool:
        """Whether this item of the model's was heard."""
        return item_id in self._texts.spoken

    def runs(self, output: Output) -> bool:
        """Whether a command's end, which has all that it printed, is still to be heard."""
        return self.commands.running(output.call_id) and not answer_of(output.text).running

    def take(self, entry: Entry) -> None:
        """Something that the thread's file says."""
        if isinstance(entry, Call):
            self.calls.filed(entry)
        elif isinstance(entry, Output):
            self.calls.output(entry)

    def close(self, error: ErrorInfo | None) -> None:
        """Nothing more will be heard: what is open failed with the turn, or was interrupted with it."""
        if error is not None:
            self._items.fail_open(error)
        elif self.turn is not None and self.turn.get("status") == "completed":
            self._texts.finish()
        if self._skipped and not self._texts.malformed:
            self._warn(PROVIDER_MALFORMED, f"events of the provider's stream that could not be read: {self._skipped}")
        self._texts.abandon(INTERRUPTED)
        self.calls.close(INTERRUPTED if error is None else error.message)
        self.commands.close()

    def _ours(self, params: Params) -> bool:
        turn_id = params["turn"]["id"] if "turn" in params else params.get("turnId")
        return (params.get("threadId"), turn_id) == self.ids

    def _started(self, params: Params) -> None:
        item = params["item"]
        if item["type"] in TEXTS:
            self._texts.start(item)
        elif item["type"] in WORK:
            self.calls.begin(item)

    def _completed(self, params: Params) -> None:
        item = params["item"]
        if item["type"] in TEXTS:
            self._texts.done(item)
        elif item["type"] in WORK:
            self.calls.end(item)

    def _output(self, params: Params) -> None:
        self.commands.output(params["itemId"], params["delta"])

    def _usage(self, params: Params) -> None:
        if params["threadId"] == self.ids[0] and not self._ours(params):
            return  # what the thread had spent before this turn
        if self.spent.add(params["threadId"], params["tokenUsage"]):
            self._told.emit("usage_update", UsageUpdate(response_id=self._response_id, usage=self.spent.usage))

    def _error(self, params: Params) -> None:
        error = params["error"]
        if not params.get("willRetry"):
            return  # the turn ends with it
        self._texts.abandon("the provider's stream broke off, and is tried again")
        self.refused = self.refused + 1 if unreachable(error) else 0
        self._warn(
            PROVIDER_RETRY, ": ".join(part for part in (error["message"], error.get("additionalDetails")) if part)
        )

    def _ended(self, params: Params) -> None:
        self.turn = params["turn"]

    def _beside(self, method: str, params: Params) -> None:
        """What is about no turn."""
        if method in {"warning", "guardianWarning"}:
            self._warn(AGENT_WARNING, params["message"])
        elif method in {"configWarning", "deprecationNotice"}:
            # They are there at every start, and about this worker rather than this run.
            parts = (params.get("summary"), params.get("details"))
            self._told.keep(f"[codex] {': '.join(part for part in parts if part)}\n")

    def _warn(self, code: str, message: str) -> None:
        self._told.emit("warning", Warned(code=code, message=message))
        self._told.keep(f"[{code}] {message}\n")
