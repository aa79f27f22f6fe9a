"""`make histories`: record every scenario anew, for the replay tests.

Do so only when a workflow is meant to decide otherwise than before; runs that are under way then need a patch.
"""

import asyncio
import json
import re
import tempfile
from pathlib import Path

from temporalio.client import Client, WorkflowHistory

from tests.workflows.scenarios import SCENARIOS
from tests.workflows.stack import running_parts, running_stack

HISTORIES = Path(__file__).parents[2] / "fixtures" / "histories"


async def histories_of(client: Client, run: str) -> list[WorkflowHistory]:
    """The histories of a run, one for each time it continued as new, oldest first."""
    found: list[WorkflowHistory] = []
    description = await client.get_workflow_handle(run).describe()
    next_one: str | None = description.raw_description.workflow_execution_info.first_run_id
    while next_one:
        history = await client.get_workflow_handle(run, run_id=next_one).fetch_history()
        found.append(history)
        last = history.events[-1]
        next_one = last.workflow_execution_continued_as_new_event_attributes.new_execution_run_id or None
    return found


async def record(folder: Path) -> None:
    """Drive each scenario and write its histories."""
    with running_parts(folder) as (address, redis_url):
        async with running_stack(folder / "stack", address, redis_url) as stack:
            for name, scenario in SCENARIOS.items():
                run = await scenario(stack)
                for number, history in enumerate(await histories_of(stack.client, run), 1):
                    text = json.dumps(json.loads(history.to_json()), indent=1)
                    # Names of this machine and process tell a reader nothing.
                    text = re.sub(r'("identity": )"[^"]*"', r'\1"a worker"', text)
                    text = re.sub(r'"[^"]*(-[0-9a-f]{32})"', r'"a worker\1"', text)
                    text = re.sub(r'("stackTrace": )"[^\n]*"', r'\1""', text)
                    (HISTORIES / f"{name}.{number}.json").write_text(text + "\n")


def main() -> None:
    """Replace what is there."""
    for old in HISTORIES.glob("*.json"):
        old.unlink()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "stack").mkdir()
        asyncio.run(record(Path(folder)))


if __name__ == "__main__":
    main()
