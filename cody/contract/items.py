"""The items that a response is a list of, told apart by `type`."""

from typing import Annotated, Any, Literal

from pydantic import Field

from cody.contract.base import Maybe, Model

Origin = Literal["user", "agent", "system"]


class ItemBase(Model):
    """What every item has: an id that is unique in its response, and who it comes from."""

    id: str
    origin: Origin = "agent"
    correlation_id: Maybe[str] = None


class MessageItem(ItemBase):
    """Text said to the user."""

    type: Literal["message"] = "message"
    content: str = ""


class ReasoningItem(ItemBase):
    """Text of the model's thinking."""

    type: Literal["reasoning"] = "reasoning"
    content: str = ""


class FunctionCallItem(ItemBase):
    """A tool call; `arguments` is a JSON string exactly as the model wrote it."""

    type: Literal["function_call"] = "function_call"
    name: str
    arguments: str = ""
    call_id: str


class FunctionCallOutputItem(ItemBase):
    """What a tool answered to the call `call_id`."""

    type: Literal["function_call_output"] = "function_call_output"
    call_id: str
    output: str
    success: bool


class ScriptExecutionItem(ItemBase):
    """Code that the agent runs."""

    type: Literal["script_execution"] = "script_execution"
    code: str


class ScriptExecutionOutputItem(ItemBase):
    """What the script `script_id` gave."""

    type: Literal["script_execution_output"] = "script_execution_output"
    script_id: str
    result: str
    success: bool
    error: Maybe[str] = None


class ErrorItem(ItemBase):
    """Something that went wrong inside the turn without ending it."""

    type: Literal["error"] = "error"
    code: str
    message: str
    details: Maybe[dict[str, Any]] = None


class CancelledItem(ItemBase):
    """An item that was under way when it was cancelled."""

    type: Literal["cancelled"] = "cancelled"
    reason: Maybe[str] = None


Item = Annotated[
    MessageItem
    | ReasoningItem
    | FunctionCallItem
    | FunctionCallOutputItem
    | ScriptExecutionItem
    | ScriptExecutionOutputItem
    | ErrorItem
    | CancelledItem,
    Field(discriminator="type"),
]

ItemType = Literal[
    "message",
    "reasoning",
    "function_call",
    "function_call_output",
    "script_execution",
    "script_execution_output",
    "error",
    "cancelled",
]
