"""How a scenario's expectations are compared with a request, and how a conversation is read out of one."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.providers.matching import differences, request_differences, tool_names
from fixtures.providers.scenario import Expect
from fixtures.providers.talk import Talk, talk_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text().filter(lambda name: not name.startswith("$")), inner),
    max_leaves=12,
)


@settings(deadline=None)
@given(JSON)
def test_everything_matches_itself(value: Any):
    assert differences(value, value) == []


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1), st.data())
def test_entries_between_the_expected_ones_do_not_matter(entries: list[int], data: st.DataObject):
    kept = data.draw(st.lists(st.sampled_from(range(len(entries))), unique=True).map(sorted))
    assert differences([entries[index] for index in kept], entries) == []


@pytest.mark.parametrize(
    ("expected", "actual", "said"),
    [
        ("a", "b", "it is 'b', expected 'a'"),
        ({"a": 1}, {}, "a is missing"),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, "a.b is 2"),
        ({"a": 1}, [], "expected an object"),
        ([1], {}, "expected a list"),
        ([2, 1], [1, 2], "expected entry 1"),
        ([1, 1], [1], "expected entry 1"),
        ({"a": {"$contains": "x"}}, {"a": "yz"}, "does not contain 'x'"),
        ({"a": {"$contains": "x"}}, {"a": ["x"]}, "does not contain 'x'"),
        ({"a": {"$any": True}}, {}, "a is missing"),
        ({"a": {"$exactly": [1]}}, {"a": [1, 2]}, "expected exactly [1]"),
    ],
)
def test_what_differs_is_said(expected: Any, actual: Any, said: str):
    assert len(found := differences(expected, actual)) == 1
    assert said in found[0]


def test_more_than_expected_may_be_there():
    assert differences({"a": {"$contains": "b"}, "c": {"$any": True}}, {"a": "abc", "c": None, "d": 1}) == []


def test_short_forms_are_the_same_as_long_ones():
    long = [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]
    assert request_differences(Expect(input=long), {"input": "Hi"}, {}) == []
    assert request_differences(Expect(input=[{"role": "user", "content": "Hi"}]), {"input": long}, {}) == []
    answer = {"role": "assistant", "content": "Yes"}
    spelled = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Yes"}]}
    assert request_differences(Expect(input=[spelled]), {"input": [answer]}, {}) == []
    result = {"type": "tool_result", "tool_use_id": "t", "content": "out"}
    expected = [{"role": "user", "content": [{**result, "content": [{"type": "text", "text": "out"}]}]}]
    assert (
        request_differences(Expect(messages=expected), {"messages": [{"role": "user", "content": [result]}]}, {}) == []
    )


def test_every_part_of_an_expectation_counts():
    expect = Expect(
        model="m",
        headers={"X-Key": "k"},
        tools=["shell"],
        messages=[{"role": "user"}],
        count=2,
        body={"stream": True},
        absent=["temperature"],
    )
    good = {
        "model": "m",
        "tools": [{"name": "shell"}],
        "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
        "stream": True,
    }
    assert request_differences(expect, good, {"x-key": "k"}) == []
    bad = {"model": "n", "tools": None, "messages": [], "stream": False, "temperature": 1}
    assert len(request_differences(expect, bad, {})) == 7


def test_tools_are_found_wherever_they_are_offered():
    inner = {"type": "namespace", "name": "functions", "tools": [{"type": "custom", "name": "exec"}]}
    later = {"type": "additional_tools", "role": "developer", "tools": [inner]}
    body = {"tools": [{"type": "web_search"}, {"type": "function", "name": "shell"}], "input": [later]}
    assert tool_names(body) == ["web_search", "shell", "exec"]
    assert tool_names({"tools": None}) == []


CALL = {"type": "function_call", "call_id": "c", "name": "shell", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "x"}
USE, RESULT = {"type": "tool_use", "id": "t"}, {"type": "tool_result", "tool_use_id": "t", "content": "x"}
REMINDER = {"type": "text", "text": "<system-reminder>\nBe brief.\n</system-reminder>"}


def context(text: str) -> dict[str, Any]:
    return {"role": "user", "content": f"<environment_context>{text}</environment_context>"}


@pytest.mark.parametrize(
    ("body", "talk"),
    [
        ({"input": "Hi"}, Talk("Hi", 0, 1)),
        ({"input": [context("cwd"), {"role": "user", "content": "Hi"}]}, Talk("Hi", 0, 2)),
        ({"input": [{"role": "user", "content": "Hi"}, {"type": "reasoning"}, CALL, OUTPUT]}, Talk("Hi", 1, 4)),
        ({"input": [{"role": "user", "content": "Hi"}, CALL, CALL, OUTPUT, OUTPUT, CALL, OUTPUT]}, Talk("Hi", 2, 7)),
        (
            {
                "messages": [
                    {"role": "user", "content": [REMINDER, {"type": "text", "text": "Hi"}]},
                    {"role": "assistant", "content": [USE]},
                    {"role": "user", "content": [RESULT, REMINDER]},
                ]
            },
            Talk("Hi", 1, 3),
        ),
        ({"messages": []}, Talk("", 0, 0)),
        (None, Talk("", 0, 0)),
    ],
)
def test_where_a_conversation_stands(body: Any, talk: Talk):
    assert talk_of(body) == talk
