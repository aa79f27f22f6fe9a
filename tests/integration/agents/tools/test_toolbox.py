import asyncio
import json
import shutil

import pytest

from cody.agents.model.tools.toolbox import Toolbox
from tests.integration.agents.agents_stage import Stage
from tests.integration.agents.tools.tools_stage import Tools, toolbox

ALL = ["read_file", "write_file", "list_dir", "apply_patch", "shell"]


def names(box: Toolbox) -> list[str]:
    return [spec.name for spec in box.specs]


async def test_all_tools_are_there_unless_they_are_narrowed(stage: Stage) -> None:
    assert names(toolbox(stage, None)) == ALL
    assert names(toolbox(stage, ["shell", "read_file"])) == ["read_file", "shell"]
    assert names(toolbox(stage, [])) == []
    assert names(toolbox(stage, working_dir=None)) == []


async def test_a_tool_that_is_not_there_answers_what_is(stage: Stage) -> None:
    narrowed = toolbox(stage, ["read_file", "list_dir"])
    output = await narrowed.call("shell", '{"command": "touch made"}')
    assert (output.success, output.text) == (False, "there is no tool 'shell'; known are read_file, list_dir")
    assert not (stage.root / "made").exists()

    none = toolbox(stage, working_dir=None)
    output = await none.call("read_file", '{"path": "a"}')
    assert (output.success, output.text) == (False, "there is no tool 'read_file'; this turn has no tools")
    assert none.quiet.survivors == ()


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("arguments", ["", "{", "[]", "{}", '{"nothing": 1}', '{"path": 1, "command": 1}'])
async def test_bad_arguments_are_an_answer(tools: Tools, name: str, arguments: str) -> None:
    output = await tools.box.call(name, arguments)
    assert not output.success
    assert output.text.startswith(f"the arguments of {name} are not valid: ")
    assert " It takes {" in output.text
    assert tools.stage.heard.events == []


async def test_specs_are_json_and_say_what_is_needed(tools: Tools) -> None:
    for spec in tools.box.specs:
        schema = json.loads(json.dumps(spec.parameters))
        assert schema["type"] == "object"
        assert all(field["description"] for field in schema["properties"].values())
        assert set(schema["required"]) <= schema["properties"].keys()
        assert spec.description


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("read_file", {"path": "a"}),
        ("write_file", {"path": "a", "content": ""}),
        ("list_dir", {"path": "."}),
        ("apply_patch", {"patch": "*** Begin Patch\n*** Add File: a\n+a\n*** End Patch"}),
        ("shell", {"command": "true"}),
    ],
)
async def test_a_working_directory_that_is_gone_is_an_answer(
    tools: Tools, name: str, arguments: dict[str, object]
) -> None:
    shutil.rmtree(tools.stage.root)
    assert "the working directory cannot be" in await tools.refused(name, **arguments)


async def test_file_work_that_is_cancelled_is_finished_and_told_first(tools: Tools) -> None:
    call = asyncio.create_task(tools("write_file", path="big", content="x" * 20_000_000))
    await asyncio.sleep(0)  # the call has begun
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (tools.stage.root / "big").stat().st_size == 20_000_000
    assert tools.stage.heard.types() == ["file_written"]
