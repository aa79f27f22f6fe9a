import json
from pathlib import Path

from cody.agents.model.tools.toolbox import Toolbox, ToolOutput
from tests.integration.agents.agents_stage import Stage


def toolbox(stage: Stage, names: list[str] | None = None, **changes: object) -> Toolbox:
    """The tools of a job on the stage."""
    return Toolbox(stage.job(["model"], **changes), stage.heard, stage.keepers, names)


def inside(folder: Path) -> list[str]:
    """The names of all that is there."""
    return sorted(each.name for each in folder.iterdir())


class Tools:
    """A toolbox on a stage, called as a model would."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.box = toolbox(stage)

    async def __call__(self, name: str, **arguments: object) -> ToolOutput:
        return await self.box.call(name, json.dumps(arguments))

    async def done(self, name: str, **arguments: object) -> str:
        output = await self(name, **arguments)
        assert output.success, output.text
        return output.text

    async def refused(self, name: str, **arguments: object) -> str:
        output = await self(name, **arguments)
        assert not output.success, output.text
        return output.text

    async def patch(self, *lines: str) -> ToolOutput:
        return await self("apply_patch", patch="\n".join(["*** Begin Patch", *lines, "*** End Patch"]))
