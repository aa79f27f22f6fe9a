"""The arguments of tools: what a model is told of them as JSON schema, and what it writes, checked against that."""

from typing import Any, TypeVar, cast

from pydantic import ValidationError

from cody.agents.model.tools.tool import Refusal
from cody.contract.base import RequestModel

MAX_FAULTS = 5


class Arguments(RequestModel):
    """What a tool takes; optional ones are `… | None`, and a model may write `null` for them."""


A = TypeVar("A", bound=Arguments)


def schema_of(model: type[Arguments]) -> dict[str, Any]:
    """The JSON schema as providers like it: one flat object, without titles, defaults and nulls."""
    schema = model.model_json_schema()
    return {
        "type": "object",
        "properties": {name: _plain(each) for name, each in schema["properties"].items()},
        "required": schema.get("required", []),
        "additionalProperties": False,
    }


def understood(tool: str, model: type[A], text: str) -> A:
    """The arguments in a JSON text. Raises Refusal, which names every fault and what is valid."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
    said = "; ".join(dict.fromkeys(_said(each["type"], each["loc"], each["msg"]) for each in faults[:MAX_FAULTS]))
    raise Refusal(f"the arguments of {tool} are not valid: {said}. It takes {_signature(model)}")


def _said(kind: str, loc: tuple[int | str, ...], message: str) -> str:
    if kind == "json_invalid":
        return f"they are no JSON ({message})"
    if not loc:
        return "they must be one JSON object"
    # A field that may be of several types gives a fault for each of them, under a name of pydantic's own.
    name = loc[0]
    if kind == "missing":
        return f"{name} is missing"
    if kind == "extra_forbidden":
        return f"{name} is unknown"
    return f"{name}: {message[:1].lower()}{message[1:]}"


def _signature(model: type[Arguments]) -> str:
    schema = schema_of(model)
    fields = cast("dict[str, dict[str, Any]]", schema["properties"])
    named = (f"{name}{'' if name in schema['required'] else '?'}: {_type(each)}" for name, each in fields.items())
    return f"{{{', '.join(named)}}}"


def _type(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_type(each) for each in field["anyOf"])
    if field["type"] == "array":
        return f"list of {_type(field['items'])}s"
    return str(field["type"])


def _plain(field: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in field.items() if name not in ("title", "default")}
    choices = [each for each in kept.pop("anyOf", []) if each != {"type": "null"}]
    if len(choices) == 1:
        return kept | choices[0]
    return kept | {"anyOf": choices} if choices else kept
