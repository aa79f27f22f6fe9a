"""Every scenario of the provider server, asked for by the real SDK: what comes of it is what was written by hand."""

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from cody.agents.base import Patience
from cody.agents.keepers import Keepers
from cody.agents.registry import agent_for
from cody.contract.agents import Agent
from cody.contract.items import Item
from cody.contract.responses import Response
from cody.contract.threads import Exchange
from fixtures.providers.matching import differences
from fixtures.providers.scenario import Scenario, load, names
from fixtures.providers.server import ProviderServer
from tests.unit.agents.model.model_stage import Log, connected, make_job, take_turn

ITEMS = TypeAdapter(tuple[Item, ...])
SHORT, LONG = Patience(answer_seconds=0.3, silence_seconds=0.3), Patience(answer_seconds=20.0, silence_seconds=20.0)
AGENT = TypeAdapter[Agent](Agent)


def earlier(scenario: Scenario) -> list[Exchange]:
    """The turns of the thread before this one, as the store has them."""
    if scenario.follows is None:
        return []
    before = load(scenario.follows)
    response = Response(
        id="resp_0",
        run_id="run_0",
        turn=1,
        attempt=1,
        turn_id="turn_0_1",
        thread_id="thread_1",
        model_id=before.model,
        provider_id=before.provider,
        created_at=0,
        updated_at=0,
        status="complete",
        output_items=ITEMS.validate_python(before.expected_response.items),
    )
    return [*earlier(before), Exchange(prompt=before.prompt, response=response)]


@pytest.mark.parametrize("name", names())
async def test_a_scenario_comes_to_its_expected_response(name: str, keepers: Keepers, tmp_path: Path) -> None:
    scenario, expected, log = load(name), load(name).expected_response, Log()
    for path, text in scenario.files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    agent = agent_for(scenario.provider, keepers)
    assert agent is not None
    async with ProviderServer() as server:
        session = server.play(scenario)
        job = make_job(
            log,
            agent=AGENT.validate_python({"kind": scenario.provider, "model": scenario.model, **scenario.agent}),
            prompt=scenario.prompt,
            working_dir=tmp_path,
            connection=connected(
                session.openai_base_url if scenario.provider == "openai" else session.anthropic_base_url
            ),
            patience=SHORT if (expected.error or {}).get("code") == "provider_timeout" else LONG,
            thread=earlier(scenario),
        )
        session.release()
        result = await take_turn(agent, log, job)
        while result.error is not None and result.error.retryable and session.unused_steps:
            job = replace(job, attempt=job.attempt + 1)
            result = await take_turn(agent, log, job)
        session.check()

    response = log.response()
    items = [item.model_dump(mode="json") for item in response.output_items]
    assert len(items) == len(expected.items)
    assert differences(expected.items, items) == []
    assert response.status == expected.status
    if expected.status == "complete":
        assert response.finish_reason == expected.finish_reason
        assert response.usage is not None
        assert expected.usage is not None
        assert response.usage.model_dump(include=set(expected.usage)) == expected.usage
    else:
        assert result.error is not None
        assert expected.error is not None
        said = result.error.model_dump(include=set(expected.error))
        assert said == expected.error
