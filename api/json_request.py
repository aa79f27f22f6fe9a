"""A request whose body is read as strict JSON and checked against the model that its route takes."""

from functools import lru_cache
from typing import Any

from litestar import Request
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json

from api.problems import invalid, problem
from cody.contract import errors as e
from cody.contract.requests import NO_PLACE

_UNIONS = frozenset({"agent", "prompt"})
"""Fields of several shapes: pydantic names the shape that it tried next to them in a fault's path."""


class JsonRequest(Request[Any, Any, Any]):
    """Litestar asks `json` for a route's `data`; the model that it gives is passed on as it is."""

    async def json(self) -> Any:
        """The body as the route's model. Raises a 400 that names every fault, the body's own form included."""
        if not _is_json(self.headers.get("content-type")):
            raise invalid("Content-Type", "must be application/json")
        try:
            data = from_json(await self.body(), allow_inf_nan=False)
        except ValueError as error:
            raise invalid("body", f"not valid JSON: {error}") from error
        try:
            return _adapter(self.route_handler.parsed_fn_signature.parameters["data"].annotation).validate_python(data)
        except ValidationError as error:
            faults = tuple(_fault(each) for each in error.errors(include_url=False, include_input=False))
            detail = "; ".join(f"{fault.field}: {fault.message}" for fault in faults[:20])
            raise problem(400, e.INVALID_REQUEST, detail, faults) from error


@lru_cache
def _adapter(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)


def _is_json(content_type: str | None) -> bool:
    """Anything else is refused: a browser lets any page send forms and plain text to a service on its machine."""
    kind = (content_type or "application/json").partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _fault(error: ErrorDetails) -> e.FieldError:
    parts = [str(part) for part in error["loc"]]
    if parts and parts[0] in _UNIONS:
        del parts[1:2]
    if error["type"].startswith("union_tag"):
        parts.append("kind")
    if error["type"] == NO_PLACE:
        parts = ["working_dir"]
    if parts and parts[-1] == "[key]":
        parts.pop()
    return e.FieldError(field=".".join(parts) or "body", message=error["msg"].removeprefix("Value error, "))
