"""The OpenAPI document: Litestar's paths, with the schemas that the models give of themselves.

Pydantic knows its constraints, aliases and omitted fields exactly; Litestar's own reading of the models drops some.
"""

from typing import Any, cast

from litestar import Request
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

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
    errors.TransitionProblem,
    errors.CursorProblem,
    Health,
)


class ExactJson(JsonRenderPlugin):
    """Serves `/schema/openapi.json`."""

    def render(  # pyright: ignore[reportUnknownMemberType]  # Litestar's own default arguments are untyped
        self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]
    ) -> bytes:
        """Litestar's document with the schemas replaced."""
        _, sent = models_json_schema([(model, "validation") for model in _SENT], ref_template=_REF)
        _, answered = models_json_schema([(model, "serialization") for model in _ANSWERED], ref_template=_REF)
        schemas = {**sent["$defs"], **answered["$defs"]}
        components = {**openapi_schema.get("components", {}), "schemas": schemas}
        return cast("Any", super()).render(request, {**openapi_schema, "openapi": "3.1.0", "components": components})


CONFIG = OpenAPIConfig(
    title="Cody",
    version=__version__,
    description="Durable, watchable, controllable continuous runs of AI coding agents.",
    path="/schema",
    render_plugins=[ExactJson(path="/openapi.json")],
    create_examples=False,
)
