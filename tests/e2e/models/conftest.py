"""One provider server and one service that asks it, for all tests of models."""

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.e2e.models.playing import Providers, playing
from tests.service import Service, running

ANSWER_SECONDS = 5
"""How long the service waits for an answer to begin: more than a busy machine needs, less than a test minds."""


@pytest.fixture(scope="package")
def providers() -> Generator[Providers]:
    with playing() as providers:
        yield providers


@pytest.fixture(scope="package")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where agents keep their own sessions."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="package")
def models(providers: Providers, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Service]:
    """A service whose OpenAI and Anthropic are `providers`."""
    env = {**providers.env, "CODY_PROVIDER_ANSWER_SECONDS": str(ANSWER_SECONDS), "CODY_MAX_TURNS": "60"}
    env["HOME"] = str(home)
    with running(tmp_path_factory.mktemp("models"), env) as service:
        yield service
