"""The environment that an agent's processes get: an allow-list of the worker's own, the run's `env`, and the marks."""

from collections.abc import Iterable, Mapping

from cody.agents.sweep import ATTEMPT, RUN_ID, TURN, WORKER

PROMPT_FILE = "CODY_PROMPT_FILE"
MARKS = (RUN_ID, TURN, ATTEMPT, WORKER, PROMPT_FILE)
"""What a run's `env` cannot set: by these the agent knows itself, and a sweep finds it."""

ALLOWED = frozenset(
    """
    PATH HOME USER LOGNAME SHELL LANG LANGUAGE TZ TERM COLORTERM TMPDIR HOSTNAME
    SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE GIT_SSL_CAINFO NODE_EXTRA_CA_CERTS
    HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy
    VIRTUAL_ENV CONDA_PREFIX PYENV_ROOT PYENV_VERSION NVM_DIR NVM_BIN VOLTA_HOME FNM_DIR ASDF_DIR ASDF_DATA_DIR
    RBENV_ROOT CARGO_HOME RUSTUP_HOME GOPATH GOROOT JAVA_HOME SDKMAN_DIR BUN_INSTALL DENO_DIR PNPM_HOME
    CODEX_HOME CLAUDE_CONFIG_DIR
    """.split()  # noqa: SIM905  # a list of this length reads better as text
)
"""What tools need to be found and to reach the network; nothing here is a secret of the service's."""
ALLOWED_PREFIXES = ("LC_", "XDG_")


def agent_environment(
    source: Mapping[str, str],
    run_env: Mapping[str, str],
    *,
    run_id: str,
    turn: int,
    attempt: int,
    worker: str,
    allowed: Iterable[str] = (),
) -> dict[str, str]:
    """The whole environment of an attempt's processes.

    Of `source` (the worker's own) only the allow-list and the names in `allowed`; over it the run's `env`; over that
    the marks. `worker` is `sweep.worker_marker()`. A `command` agent adds its own `CODY_PROMPT_FILE`.
    """
    names = ALLOWED | set(allowed)
    env = {name: value for name, value in source.items() if name in names or name.startswith(ALLOWED_PREFIXES)}
    env |= run_env
    for mark in MARKS:
        env.pop(mark, None)
    return env | {RUN_ID: run_id, TURN: str(turn), ATTEMPT: str(attempt), WORKER: worker}
