from cody.agents.command import CommandAgent
from cody.agents.keepers import Keepers
from cody.agents.model.loop import ModelAgent
from cody.agents.registry import agent_for


def test_a_kind_has_its_agent_or_none() -> None:
    keepers = Keepers()
    assert isinstance(agent_for("command", keepers), CommandAgent)
    assert isinstance(agent_for("openai", keepers), ModelAgent)
    assert isinstance(agent_for("anthropic", keepers), ModelAgent)
    assert agent_for("no-such-kind", keepers) is None
