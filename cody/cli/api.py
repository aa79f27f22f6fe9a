"""`cody api`: serve REST and SSE."""

import click
import uvloop

from cody.cli.service import fail_fast, logging_to_stderr, open_store, spare_the_collector
from cody.settings import Settings


@click.command()
def command() -> None:
    """Serve the API against TEMPORAL_ADDRESS, REDIS_URL and DATABASE_URL, on CODY_HOST and CODY_PORT."""
    logging_to_stderr()
    with fail_fast() as settings:
        uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    from api.server import serve

    store = await open_store(settings)
    spare_the_collector()
    try:
        await serve(settings, store)
    finally:
        await store.close()
