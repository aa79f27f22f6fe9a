"""A worker that is killed in the middle of a turn; not a test itself."""

import asyncio
import sys
from pathlib import Path

from cody.agents.keepers import Keepers
from tests.integration.agents.agents_bench import ESCAPE, Bench, until

root = Path(sys.argv[1])


class Telling(Bench):
    """Writes down the agent's pid."""

    async def tell(self) -> None:
        await until(lambda: self.heard.of("turn_started"))
        (root / "agent").write_text(f"{self.heard.of('turn_started')[0].pid}\n")


async def main() -> None:
    bench = Telling(Keepers(), root)
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.tell())
        group.create_task(bench.py(ESCAPE, kill_grace_seconds=1.0))


asyncio.run(main())
