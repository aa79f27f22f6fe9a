from cody.agents.environment import agent_environment


def environment(source: dict[str, str], run_env: dict[str, str], *allowed: str) -> dict[str, str]:
    return agent_environment(
        source, run_env, run_id="run_1", turn=2, attempt=3, worker="1-2", allowed=allowed
    )  # fmt: skip


MARKS = {"CODY_RUN_ID": "run_1", "CODY_TURN": "2", "CODY_ATTEMPT": "3", "CODY_WORKER": "1-2"}


def test_only_what_is_allowed_passes() -> None:
    source = {
        "PATH": "/bin", "LC_ALL": "C", "XDG_CACHE_HOME": "/c", "https_proxy": "p", "DATABASE_URL": "secret",
        "OPENAI_API_KEY": "secret", "EXTRA": "e", "CODY_RUN_ID": "outer", "CODY_PROMPT_FILE": "outer",
    }  # fmt: skip
    kept = {"PATH": "/bin", "LC_ALL": "C", "XDG_CACHE_HOME": "/c", "https_proxy": "p"}
    assert environment(source, {}) == kept | MARKS
    assert environment(source, {}, "EXTRA", "NOT_SET") == kept | {"EXTRA": "e"} | MARKS


def test_the_runs_env_comes_over_it_but_never_over_the_marks() -> None:
    run_env = {"PATH": "/mine", "KEY": "v"} | dict.fromkeys([*MARKS, "CODY_PROMPT_FILE"], "forged")
    assert environment({"PATH": "/bin"}, run_env) == {"PATH": "/mine", "KEY": "v"} | MARKS
