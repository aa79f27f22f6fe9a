"""Another process on the same database: `URL open`, or `URL write RUN_ID TURN SECONDS`."""

import asyncio
import sys
import time

from cody.store import Store


async def _write(store: Store, run_id: str, first: int, seconds: float) -> int:
    """Keep as many parts of output as there is time for, from a few tasks at once; gives how many."""
    deadline = time.monotonic() + seconds

    async def keep(turn: int) -> int:
        part = 0
        while time.monotonic() < deadline:
            await store.turns.keep_output(run_id, turn, 1, part, b"x" * 1000)
            part += 1
        return part

    return sum(await asyncio.gather(*(keep(turn) for turn in range(first, first + 4))))


async def _main(url: str, what: str, *rest: str) -> None:
    store = Store(url)
    await store.open()
    written = await _write(store, rest[0], int(rest[1]), float(rest[2])) if what == "write" else 0
    await store.close()
    sys.stdout.write(f"{written}\n")


asyncio.run(_main(*sys.argv[1:]))
