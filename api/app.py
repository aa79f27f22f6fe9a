"""The Litestar application."""

from litestar import Litestar
from litestar.di import Provide
from litestar.middleware import DefineMiddleware
from litestar.plugins.pydantic import PydanticPlugin
from litestar.types import ASGIApp

from api import documents, figures, health, openapi, problems, runs, sse
from api.body import BodyLimit
from api.handover import Handover
from api.json_request import JsonRequest
from api.state import Door


def create_app(door: Door, max_body_bytes: int) -> ASGIApp:
    """All routes over `door`; who makes it opens and closes what is behind it."""

    def provide_door() -> Door:
        return door

    app = Litestar(
        route_handlers=[
            runs.start_continuous,
            runs.start_single,
            runs.list_runs,
            runs.get_run,
            runs.get_status,
            runs.control,
            runs.pause,
            runs.resume,
            runs.cancel,
            documents.run_responses,
            documents.one_response,
            documents.thread,
            documents.prompt,
            documents.output,
            sse.stream,
            health.live,
            health.ready,
            figures.metrics,
        ],
        dependencies={"door": Provide(provide_door, sync_to_thread=False, use_cache=True)},
        exception_handlers=problems.HANDLERS,
        middleware=[DefineMiddleware(BodyLimit, limit=max_body_bytes)],
        plugins=[PydanticPlugin(prefer_alias=True)],
        request_class=JsonRequest,
        openapi_config=openapi.CONFIG,
        request_max_body_size=None,
    )
    return Handover(app)
