"""The OpenAPI document: Litestar's paths, with the schemas that the models give of themselves.

Pydantic knows its constraints, aliases and omitted fields exactly; Litestar's own reading of the models drops some.
"""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any, cast

from litestar import Request, Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core import core_schema

from api.health import Health
from cody import __version__
from cody.contract import errors, requests, responses, runs

_REF = "#/components/schemas/{model}"
_SENT: tuple[type[BaseModel], ...] = (
    requests.ContinuousRunRequest,
    requests.SingleRunRequest,
    requests.ControlRequest,
    requests.ControlOptions,
)
_ANSWERED: tuple[type[BaseModel], ...] = (
    runs.Accepted,
    runs.Snapshot,
    runs.RunList,
    runs.Controlled,
    responses.Response,
    responses.ResponseList,
    responses.Thread,
    errors.Problem,
    errors.StartProblem,
    errors.TransitionProblem,
    errors.CursorProblem,
    errors.HealthProblem,
    Health,
)
_TEXT = {"type": "string"}
_STREAM = {"type": "string", "description": "Frames of `id` (a cursor), `event` (its type) and `data` (its JSON)."}
_RETRY_AFTER = {"schema": {"type": "string"}, "description": "Seconds after which to try again"}


class _AsSent(GenerateJsonSchema):
    """Every field is there, but for those that a model leaves out when they are empty."""

    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
        total: bool,
    ) -> bool:
        if self.mode == "serialization":
            return "serialization_exclude_if" not in field
        return super().field_is_required(field, total)


class ExactJson(JsonRenderPlugin):
    """Serves `/schema/openapi.json`."""

    def render(  # pyright: ignore[reportUnknownMemberType]  # Litestar's own default arguments are untyped
        self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]
    ) -> bytes:
        """Litestar's document with the schemas replaced."""
        _, sent = models_json_schema([(model, "validation") for model in _SENT], ref_template=_REF)
        _, answered = models_json_schema(
            [(model, "serialization") for model in _ANSWERED], ref_template=_REF, schema_generator=_AsSent
        )
        schemas = {**sent["$defs"], **answered["$defs"]}
        components = {**openapi_schema.get("components", {}), "schemas": schemas}
        document = {**deepcopy(openapi_schema), "openapi": "3.1.0", "components": components}
        for operation in _operations(document):
            _complete(operation)
        return cast("Any", super()).render(request, document)


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from path.values()


def _complete(operation: dict[str, Any]) -> None:
    """What Litestar cannot be told: an optional body, a header of an error, and the form of a stream."""
    body = operation.get("requestBody")
    if body is not None:
        content = body["content"]["application/json"]
        choices = content["schema"].get("oneOf", [content["schema"]])
        body["required"] = {"type": "null"} not in choices
        content["schema"] = choices[0]
    answers = operation["responses"]
    for header in answers.get("202", {}).get("headers", {}).values():
        header["schema"] = {"type": "string"}
    if "503" in answers:
        answers["503"]["headers"] = {"Retry-After": _RETRY_AFTER}
    for kind, content in answers.get("200", {}).get("content", {}).items():
        if not content["schema"]:
            content["schema"] = _STREAM if kind == "text/event-stream" else _TEXT


class _SchemaRouter(Router):
    """Without Litestar's HTML page for what it has not: that is a problem, like everywhere."""

    def register(self, value: Any) -> Any:
        return [] if "/{path:str}" in getattr(value, "paths", ()) else super().register(value)


CONFIG = OpenAPIConfig(
    title="Cody",
    version=__version__,
    description="Durable, watchable, controllable continuous runs of AI coding agents.",
    path="/schema",
    render_plugins=[ExactJson(path="/openapi.json")],
    openapi_router=_SchemaRouter("/schema", route_handlers=[], include_in_schema=False),
    create_examples=False,
)
