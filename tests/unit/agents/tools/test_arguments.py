import pytest

from cody.agents.model.tools.arguments import schema_of, understood
from cody.agents.model.tools.reading import ReadFile
from cody.agents.model.tools.shell import ShellCommand
from cody.agents.model.tools.tool import Refusal


def test_a_schema_is_flat_and_without_noise() -> None:
    schema = schema_of(ShellCommand)
    assert schema["required"] == ["command"]
    assert schema["additionalProperties"] is False
    command, seconds = schema["properties"]["command"], schema["properties"]["timeout_seconds"]
    assert [each["type"] for each in command["anyOf"]] == ["string", "array"]
    assert seconds["type"] == "number"
    assert "anyOf" not in seconds
    for noise in ("title", "default", "$defs", "null"):
        assert noise not in str(schema)


def test_optional_arguments_may_be_null() -> None:
    assert understood("read_file", ReadFile, '{"path": "a", "offset": null}') == ReadFile(path="a")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "they are no JSON"),
        ("{", "they are no JSON"),
        ("[]", "one JSON object"),
        ("null", "one JSON object"),
        ('"a"', "one JSON object"),
        ("{}", "path is missing"),
        ('{"path": 1}', "path: input should be a valid string"),
        ('{"path": "a", "limit": "5"}', "limit: input should be a valid integer"),
        ('{"path": "a", "limit": true}', "limit: input should be a valid integer"),
        ('{"path": "a", "limit": 0}', "limit: input should be greater than or equal to 1"),
        ('{"path": "a", "ofset": 1}', "ofset is unknown"),
        ('{"path": "\\ud800"}', "they are no JSON"),
    ],
)
def test_every_fault_is_named_with_what_is_valid(text: str, told: str) -> None:
    with pytest.raises(Refusal) as refused:
        understood("read_file", ReadFile, text)
    assert told in str(refused.value)
    assert str(refused.value).endswith("It takes {path: string, offset?: integer, limit?: integer}")
