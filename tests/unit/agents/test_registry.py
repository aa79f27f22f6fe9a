from cody.agents.command import CommandAgent
from cody.agents.keepers import Keepers
from cody.agents.registry import agent_for, available_kinds


def test_a_kind_has_its_agent_or_none() -> None:
    keepers = Keepers()
    assert "command" in available_kinds()
    assert isinstance(agent_for("command", keepers), CommandAgent)
    assert agent_for("no-such-kind", keepers) is None
