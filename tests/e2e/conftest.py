"""End to end: black-box tests on a service that they share, and on others with settings of their own."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest

from tests.service import Run, Service, running

OwnService = Callable[..., AbstractContextManager[Service]]


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Generator[Service]:
    """A `cody dev` that runs for all of them, ends by SIGTERM with exit code 0, and leaves nothing behind.

    What a test does to its parts (`frozen`, a kill) has to be undone, or mended by `cody dev`, before the test ends.
    """
    with running(tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture
def own_service(tmp_path: Path) -> OwnService:
    """`with own_service({"CODY_…": "…"}, workers=2) as service:` a service for this test alone."""
    return partial(running, tmp_path)


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Generator[Service]:
    """A service that the tests of a file share and may break, if they mend it; with the file's number of `WORKERS`."""
    with running(tmp_path_factory.mktemp("fragile"), workers=getattr(request.module, "WORKERS", 1)) as service:
        yield service


@pytest.fixture(scope="module")
def done(service: Service) -> Generator[Run]:
    """A run of three turns that has completed, with output, a file and telemetry; look at it, do not change it."""
    script = """
    echo "turn $CODY_TURN"
    echo '{"__cody_event__": {"type": "token_usage", "prompt_tokens": 7, "completion_tokens": 3}}'
    echo "$CODY_TURN" > "file-$CODY_TURN.txt"
    """
    run = service.start(script, max_turns=3, epic_id="done", metadata={"who": "e2e"}, budget={"max_tokens": 1000})
    run.wait("completed")
    return run
