"""Every scenario that ends well, played by the official SDK of its API to that SDK's own final object."""

import json
from typing import Any

import pytest

from fixtures.providers.scenario import Scenario, load, names
from fixtures.providers.server import ProviderServer
from tests.integration.providers.clients import anthropic_turn, openai_text, openai_turn

SCENARIOS = {name: load(name) for name in names()}
RETRIED = {name for name, scenario in SCENARIOS.items() if name.endswith("_then_whole")}
HELD = {name for name in SCENARIOS if name.endswith("_hold")}
BROKEN_JSON = {"anthropic_bad_arguments"}
"""The helper of Anthropic's SDK gives up on arguments that are no JSON."""


def whole(provider: str) -> list[str]:
    left_out = RETRIED | HELD | BROKEN_JSON
    return [
        name
        for name, scenario in SCENARIOS.items()
        if (scenario.provider, scenario.expected_response.status) == (provider, "complete") and name not in left_out
    ]


def earlier(scenario: Scenario) -> list[Scenario]:
    """The turns of the thread before this one."""
    before = load(scenario.follows) if scenario.follows else None
    return [*earlier(before), before] if before else []


def expected(scenario: Scenario, type_: str) -> list[dict[str, Any]]:
    return [item for item in scenario.expected_response.items if item["type"] == type_]


def check_usage(scenario: Scenario, usage: dict[str, int]) -> None:
    wanted = scenario.expected_response.usage
    assert wanted is not None
    assert {name: usage[name] for name in wanted} == wanted


@pytest.mark.parametrize("name", whole("openai"))
async def test_an_openai_scenario_streams_to_what_is_expected(name: str, server: ProviderServer):
    scenario, history = SCENARIOS[name], list[Any]()
    for before in earlier(scenario):
        await openai_turn(server.play(before), history)
    session = server.play(scenario)
    finals = await openai_turn(session, history)
    session.check()
    assert "".join(map(openai_text, finals)) == "".join(item["content"] for item in expected(scenario, "message"))
    outputs = [item for final in finals for item in final.output]
    calls = [(item.id, item.call_id, item.name, item.arguments) for item in outputs if item.type == "function_call"]
    wanted = expected(scenario, "function_call")
    assert calls == [(item["id"], item["call_id"], item["name"], item["arguments"]) for item in wanted]
    thoughts = [item for item in outputs if item.type == "reasoning"]
    said = ["\n\n".join(part.text for part in item.content or item.summary) for item in thoughts]
    assert said == [item["content"] for item in expected(scenario, "reasoning")]
    told = [item.id for item in outputs if item.type in {"message", "function_call", "reasoning"}]
    assert sorted(told) == sorted(
        item["id"] for item in scenario.expected_response.items if item["type"] != "function_call_output"
    )
    check_usage(
        scenario,
        {
            "prompt_tokens": sum(final.usage.input_tokens for final in finals),
            "completion_tokens": sum(final.usage.output_tokens for final in finals),
            "total_tokens": sum(final.usage.total_tokens for final in finals),
            "cached_tokens": sum(final.usage.input_tokens_details.cached_tokens for final in finals),
            "reasoning_tokens": sum(final.usage.output_tokens_details.reasoning_tokens for final in finals),
        },
    )


@pytest.mark.parametrize("name", whole("anthropic"))
async def test_an_anthropic_scenario_streams_to_what_is_expected(name: str, server: ProviderServer):
    scenario, history = SCENARIOS[name], list[Any]()
    for before in earlier(scenario):
        await anthropic_turn(server.play(before), history)
    session = server.play(scenario)
    finals = await anthropic_turn(session, history)
    session.check()
    blocks = [(f"{final.id}_{index}", block) for final in finals for index, block in enumerate(final.content)]
    texts = [(id_, block.text) for id_, block in blocks if block.type == "text"]
    assert texts == [(item["id"], item["content"]) for item in expected(scenario, "message")]
    thoughts = [
        (id_, getattr(block, "thinking", ""))
        for id_, block in blocks
        if block.type in {"thinking", "redacted_thinking"}
    ]
    assert thoughts == [(item["id"], item["content"]) for item in expected(scenario, "reasoning")]
    calls = [(block.id, block.name, block.input) for _, block in blocks if block.type == "tool_use"]
    wanted = expected(scenario, "function_call")
    assert calls == [(item["call_id"], item["name"], json.loads(item["arguments"])) for item in wanted]
    cached = sum(final.usage.cache_read_input_tokens for final in finals)
    prompt = cached + sum(final.usage.input_tokens + final.usage.cache_creation_input_tokens for final in finals)
    completion = sum(final.usage.output_tokens for final in finals)
    check_usage(
        scenario,
        {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "cached_tokens": cached,
        },
    )
