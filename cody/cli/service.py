"""What `cody api` and `cody worker` share: settings, parts that must answer, and how to fail."""

import asyncio
import gc
import logging
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta

import click
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from cody.settings import Settings, SettingsError, load
from cody.store import DatabaseGone, Store
from cody.stream.connection import RedisError, connect
from cody.stream.log import Log

PATIENCE_SECONDS = 5.0
"""How long a part may take to come up; with `cody dev` and containers all start at once."""


class PartMissing(Exception):
    """A part that the service cannot do without does not answer."""


@contextmanager
def fail_fast() -> Generator[Settings]:
    """The settings; a fault of them, or a part that does not answer, is a clear message and exit code 2."""
    try:
        yield load()
    except (SettingsError, PartMissing) as error:
        click.echo(f"{click.get_current_context().command_path} cannot start:\n{error}", err=True)
        if isinstance(error, SettingsError):
            click.echo("what runs under `cody dev` is in its data directory: set -a; . .cody/service.env", err=True)
        sys.exit(2)


def spare_the_collector() -> None:
    """Call when all is imported: what is there now stays, so no collection has to walk through it again.

    It is most of a process's objects, and walking it was a fifth of what a flood costs a worker, in pauses of tens of
    milliseconds. Young objects are looked at less often, too: events make many, and hardly ever a cycle.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


async def open_store(settings: Settings) -> Store:
    """The store, once all three parts answer and the schema is up to date."""
    await _until_temporal(settings.temporal_address, settings.temporal_namespace)
    await _until_redis(settings.redis_url)
    return await _until_database(settings.database_url)


async def _until_database(url: str) -> Store:
    deadline = time.monotonic() + PATIENCE_SECONDS
    store = Store(url)
    while True:
        try:
            await store.open()
        except DatabaseGone as error:
            if time.monotonic() > deadline:
                await store.close()
                raise PartMissing(f"DATABASE_URL: {_masked(url)} cannot be used: {error}") from error
            await asyncio.sleep(0.1)
        else:
            return store


async def _until_redis(url: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    redis = connect(url)
    try:
        while True:
            try:
                return await Log(redis).ping()
            except (RedisError, OSError) as error:
                if time.monotonic() > deadline:
                    raise PartMissing(f"REDIS_URL: {_masked(url)} does not answer: {error}") from error
            await asyncio.sleep(0.1)
    finally:
        await redis.aclose()


async def _until_temporal(address: str, namespace: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    request = DescribeNamespaceRequest(namespace=namespace)
    while True:
        try:
            client = await Client.connect(address, namespace=namespace)
            await client.workflow_service.describe_namespace(request, timeout=timedelta(seconds=PATIENCE_SECONDS))
        except (RPCError, RuntimeError) as error:  # the SDK reports a refused connection as a RuntimeError
            if time.monotonic() > deadline:
                message = f"TEMPORAL_ADDRESS: namespace {namespace} at {address} does not answer: {error}"
                raise PartMissing(message) from error
            await asyncio.sleep(0.1)
        else:
            return


def _masked(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://…@{rest.rpartition('@')[2]}" if "@" in rest else url


def logging_to_stderr() -> None:
    """Warnings and worse, one line each."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
