"""`cody reproject`: fold a run's log again, and compare with or replace what is stored."""

import asyncio
import sys

import click

from cody.archive.whole import WholeLog
from cody.cli.service import fail_fast, open_store
from cody.contract.lifecycle import ENDED
from cody.contract.responses import Response
from cody.fold import Checkpoint, PoisonEvent, RunFolder
from cody.settings import Settings
from cody.store import Store
from cody.stream.connection import connect
from cody.stream.log import Log

PAGE = 1000

Document = tuple[Response, Checkpoint]


@click.command("reproject", epilog="Exit code: 0 if nothing differed or all was written, 1 with what differs.")
@click.argument("run")
@click.option("--write", is_flag=True, help="Replace the stored documents by those that the log gives.")
def command(run: str, *, write: bool) -> None:
    """Fold the log of RUN again and compare the documents with the stored ones.

    Speaks to the parts themselves: needs REDIS_URL, DATABASE_URL and TEMPORAL_ADDRESS, which `cody dev` leaves in
    service.env in its data directory.
    """
    with fail_fast() as settings:
        differences = asyncio.run(_reproject(settings, run, write=write))
    for difference in differences:
        click.echo(difference, err=True)
    if differences and write:
        click.echo(f"replaced the documents of {run}")
    elif not differences:
        click.echo(f"the documents of {run} are what its log says")
    sys.exit(1 if differences and not write else 0)


async def _reproject(settings: Settings, run_id: str, *, write: bool) -> list[str]:
    store = await open_store(settings)
    redis = connect(settings.redis_url)
    try:
        run = await store.runs.get(run_id, unconfirmed=True)
        if run is None:
            raise click.ClickException(f"there is no run {run_id}")
        if write and run.row["status"] not in ENDED:
            raise click.ClickException(f"{run_id} is {run.status}: its projector still writes, so wait for its end")
        documents = await _fold(WholeLog(redis, store.archive), run_id)
        differences = await _compare(store, run_id, [response for response, _ in documents])
        if write and differences:
            await store.responses.replace(run_id, documents)
        return differences
    finally:
        await redis.aclose()
        await store.close()


async def _fold(log: Log, run_id: str) -> list[Document]:
    folder = RunFolder()
    seq = 0
    while entries := await log.after(run_id, seq, PAGE):
        if not entries[0].follows(seq):
            raise click.ClickException(f"the log of {run_id} no longer has SEQ {seq + 1} to {entries[0].seq - 1}")
        for entry in entries:
            try:
                folder.feed(entry.cursor, entry.type, entry.event)
            except PoisonEvent as error:
                raise click.ClickException(str(error)) from error
        seq = entries[-1].seq
    found = ((one.response(), one.checkpoint()) for one in folder.folders.values())
    return [(response, checkpoint) for response, checkpoint in found if response is not None]


async def _compare(store: Store, run_id: str, folded: list[Response]) -> list[str]:
    stored = {response.turn: response for response in await store.responses.of_run(run_id)}
    anew = {response.turn: response for response in folded}
    differences: list[str] = []
    for turn in sorted(stored.keys() | anew.keys()):
        here, there = stored.get(turn), anew.get(turn)
        if here is None or there is None:
            differences.append(f"turn {turn}: {'not stored' if here is None else 'not in the log'}")
        elif here != there:
            one, other = here.model_dump(mode="json"), there.model_dump(mode="json")
            fields = [name for name in sorted(one.keys() | other.keys()) if one.get(name) != other.get(name)]
            differences.append(f"turn {turn}: {', '.join(fields)} differ")
    return differences
