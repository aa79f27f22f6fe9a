"""What the SDKs send by themselves out of the service's environment, and to whom."""

from collections.abc import Mapping

import pytest

from cody.agents.connections import Connection
from cody.agents.keepers import Keepers
from cody.agents.registry import agent_for
from cody.contract.agents import AnthropicAgent, OpenAIAgent
from fixtures.providers.server import ProviderServer
from tests.unit.agents.model.model_stage import Log, make_job, take_turn

OF_THE_SERVICE = {
    "OPENAI_ORG_ID": "org-service",
    "OPENAI_PROJECT_ID": "proj-service",
    "OPENAI_CUSTOM_HEADERS": "x-gateway: service\nx-more: service",
    "ANTHROPIC_AUTH_TOKEN": "token-service",
    "ANTHROPIC_CUSTOM_HEADERS": "x-gateway: service\nx-more: service",
}


@pytest.fixture(autouse=True)
def _service(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in OF_THE_SERVICE.items():
        monkeypatch.setenv(name, value)


async def headers_of(keepers: Keepers, kind: str, *, of_run: bool) -> Mapping[str, str]:
    """The headers of a whole turn's request."""
    async with ProviderServer() as server:
        session, log = server.play(f"{kind}_message"), Log()
        agent = agent_for(kind, keepers)
        assert agent is not None
        url = session.openai_base_url if kind == "openai" else session.anthropic_base_url
        model = session.scenario.model
        spec = (
            OpenAIAgent(kind="openai", model=model)
            if kind == "openai"
            else AnthropicAgent(kind="anthropic", model=model)
        )
        job = make_job(log, agent=spec, prompt=session.scenario.prompt, connection=Connection(url, "key", of_run))
        await take_turn(agent, log, job)
        assert log.response().status == "complete"
        return session.requests[0].headers


@pytest.mark.parametrize("kind", ["openai", "anthropic"])
async def test_an_address_of_the_run_s_learns_nothing_of_the_service(keepers: Keepers, kind: str) -> None:
    headers = await headers_of(keepers, kind, of_run=True)
    assert headers["authorization"] == "Bearer key"
    assert not [name for name, value in headers.items() if "service" in value]


async def test_the_service_s_own_provider_is_told_its_organization(keepers: Keepers) -> None:
    headers = await headers_of(keepers, "openai", of_run=False)
    assert headers["openai-organization"] == "org-service"
    assert headers["openai-project"] == "proj-service"
    assert headers["x-gateway"] == "service"


async def test_the_service_s_own_anthropic_is_sent_its_headers(keepers: Keepers) -> None:
    assert (await headers_of(keepers, "anthropic", of_run=False))["x-gateway"] == "service"
