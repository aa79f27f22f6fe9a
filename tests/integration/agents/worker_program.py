"""A worker that is killed in the middle of a turn; not a test itself."""

import asyncio
import sys
from pathlib import Path

from cody.agents.keepers import Keepers
from tests.integration.agents.agents_stage import ESCAPE, Stage
from tests.parts import until

root = Path(sys.argv[1])


class Telling(Stage):
    """Writes down the agent's pid."""

    async def tell(self) -> None:
        await until(lambda: self.heard.of("turn_started"))
        (root / "agent").write_text(f"{self.heard.of('turn_started')[0].pid}\n")


async def main() -> None:
    stage = Telling(Keepers(), root)
    async with asyncio.TaskGroup() as group:
        group.create_task(stage.tell())
        group.create_task(stage.py(ESCAPE, kill_grace_seconds=1.0))


asyncio.run(main())
