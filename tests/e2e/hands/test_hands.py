"""The commands against a real service, as a person types them."""

import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.service import CODY, Service, eventually

CodyResult = subprocess.CompletedProcess[str]


def cody(service: Service, *words: str, cwd: Path | None = None, **env: str) -> CodyResult:
    environment = {**os.environ, "CODY_URL": service.url, **env}
    return subprocess.run(
        [CODY, *words], cwd=cwd or service.root, env=environment, capture_output=True, text=True, timeout=90
    )


def addresses(service: Service) -> dict[str, str]:
    lines = (service.data_dir / "service.env").read_text().splitlines()
    return dict(line.partition("=")[::2] for line in lines)


def test_a_run_of_ones_own_is_shown_as_it_happens(service: Service):
    place = service.workspace()
    script = 'echo "hello from turn $CODY_TURN"; echo x > new.txt'
    result = cody(service, "run", "--max-turns", "2", "--prompt", "Do it.", "--", "sh", "-c", script, cwd=place)
    assert result.returncode == 0, result.stderr
    for said in ("hello from turn 1", "hello from turn 2", "new.txt"):
        assert said in result.stdout


def test_json_is_one_event_a_line(service: Service):
    place = service.workspace()
    result = cody(service, "run", "--json", "--max-turns", "1", "--", "true", cwd=place)
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["type"] for event in events][-1] == "run_completed"
    assert len({event["event_id"] for event in events}) == len(events)


def test_a_failed_run_is_exit_code_1(service: Service):
    result = cody(service, "run", "--max-turns", "1", "--", "sh", "-c", "exit 127", cwd=service.workspace())
    assert result.returncode == 1
    assert "127" in result.stdout + result.stderr


@pytest.fixture
def ctrl_c_counts() -> Generator[None]:
    """Programs started from here take SIGINT, also where the tests themselves were started to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c_counts")
def test_ctrl_c_detaches_and_says_how_to_come_back(service: Service):
    place = service.workspace()
    command = [CODY, "run", "--", "sleep", "600"]
    environment = {**os.environ, "CODY_URL": service.url}
    with subprocess.Popen(
        command, cwd=place, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        run = eventually(lambda: next((r for r in service.listed() if r["working_dir"] == str(place)), None))
        eventually(lambda: service.http.get(run["links"]["self"]).json()["pid"])
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=20)[0].decode()
    assert process.returncode == 0
    assert f"cody watch {run['run_id']}" in said
    assert f"cody cancel {run['run_id']}" in said
    assert service.http.get(run["links"]["self"]).json()["status"] == "running"
    assert cody(service, "cancel", "--wait", run["run_id"]).returncode == 0
    assert service.http.get(run["links"]["self"]).json()["status"] == "cancelled"


def test_verify_finds_a_sound_service_sound(service: Service):
    result = cody(service, "verify")
    assert result.returncode == 0, result.stdout + result.stderr


def test_reproject_compares_and_mends(service: Service):
    run = service.start("echo hello", max_turns=2)
    run.wait("completed")
    before = run.responses()
    assert cody(service, "reproject", run.id, **addresses(service)).returncode == 0
    database = addresses(service)["DATABASE_URL"].removeprefix("sqlite:///")
    with sqlite3.connect(database, timeout=30) as connection:
        spoil = "UPDATE items SET item = replace(item, 'hello', 'spoiled') WHERE response_id = ?"
        connection.execute(spoil, (before[0]["id"],))
    connection.close()
    assert run.responses() != before
    found = cody(service, "reproject", run.id, **addresses(service))
    assert found.returncode == 1
    assert "turn 1" in found.stderr
    assert cody(service, "reproject", "--write", run.id, **addresses(service)).returncode == 0
    assert run.responses() == before


@pytest.mark.parametrize(
    ("part", "wrong"), [("api", "REDIS_URL"), ("worker", "TEMPORAL_ADDRESS"), ("api", "DATABASE_URL")]
)
def test_a_part_that_is_missing_or_wrong_is_exit_code_2(part: str, wrong: str, service: Service):
    for value in ("", "nonsense"):
        result = cody(service, part, **{**addresses(service), wrong: value})
        assert result.returncode == 2
        assert wrong in result.stderr
        assert "Traceback" not in result.stderr


@pytest.mark.parametrize("form", [["--json"], []])
def test_a_reader_that_leaves_early_ends_the_watching_quietly(form: list[str], service: Service):
    run = service.start("while [ ! -e go ]; do sleep 0.02; done; echo done")
    run.event("turn_started")
    command = [CODY, "watch", *form, run.id]
    environment = {**os.environ, "CODY_URL": service.url}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as watching:
        assert watching.stdout is not None
        assert watching.stderr is not None
        assert watching.stdout.readline()
        watching.stdout.close()
        (run.dir / "go").touch()
        said = watching.stderr.read().decode()
    assert watching.returncode == 1
    assert "Traceback" not in said
    assert "rror" not in said
