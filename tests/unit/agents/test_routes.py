"""Which way an agent's own requests go: a client may choose it for its own key only."""

import pytest

from cody.agents.connections import connection_of, unrouted

SERVICE = {"OPENAI_API_KEY": "service's", "ANTHROPIC_API_KEY": "service's"}
ROUTED = {"HTTPS_PROXY": "http://elsewhere", "http_proxy": "http://elsewhere", "no_proxy": "", "KEY": "value"}


@pytest.mark.parametrize("kind", ["codex", "claude-code"])
def test_the_key_of_the_service_takes_no_way_that_the_run_chose(kind: str) -> None:
    routed = ROUTED | {"ANTHROPIC_UNIX_SOCKET": "/elsewhere"}
    assert unrouted(kind, connection_of(kind, SERVICE, routed), routed) == {"KEY": "value"}


@pytest.mark.parametrize(("kind", "key"), [("codex", "OPENAI_API_KEY"), ("claude-code", "ANTHROPIC_API_KEY")])
def test_a_run_with_a_key_of_its_own_chooses_its_way(kind: str, key: str) -> None:
    run = ROUTED | {key: "run's"}
    assert unrouted(kind, connection_of(kind, SERVICE, run), run) == run


@pytest.mark.parametrize("kind", ["command", "openai", "anthropic"])
def test_where_the_worker_asks_the_tools_get_the_run_s_environment(kind: str) -> None:
    assert unrouted(kind, connection_of(kind, SERVICE, ROUTED), ROUTED) == ROUTED
