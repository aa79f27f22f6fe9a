"""The demo's agent does real work; it is run here as a worker runs it, but by hand."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time

import pytest

from cody.cli.dev.demo import FIXTURES, prepare, request
from cody.contract.requests import ContinuousRunRequest

AGENT = [sys.executable, str(FIXTURES / "agent.py")]


@pytest.fixture
def project(tmp_path):
    return shutil.copytree(FIXTURES / "project", tmp_path / "project")


def turn(project, number: int) -> str:
    env = {"PATH": os.environ["PATH"], "CODY_TURN": str(number)}
    done = subprocess.run(AGENT, cwd=project, input="prompt\n", env=env, capture_output=True, text=True, check=True)
    return done.stdout


def is_done(project) -> bool:
    return bool(re.search("^ALL DONE$", (project / "codys-log.md").read_text(), re.MULTILINE))


def test_three_turns_mend_it(project):
    summaries = []
    for number in (1, 2, 3):
        summaries.append(re.search(r"^.*passed.* in .*$", turn(project, number), re.MULTILINE)[0].split(" in ")[0])
        assert is_done(project) is (number == 3)
    assert summaries == ["3 failed, 3 passed", "2 failed, 4 passed", "6 passed"]


def test_a_turn_that_is_killed_anywhere_is_repeated_without_harm(project):
    for number in range(1, 5):
        for patience in (0.05, 0.2, 0.35):
            killed = subprocess.Popen(AGENT, cwd=project, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            time.sleep(patience)
            killed.kill()
            killed.wait()
        turn(project, number)
    assert is_done(project)
    left = {path.name for path in project.iterdir()} - {path.name for path in (FIXTURES / "project").iterdir()}
    assert left - {"numbers_kit.tmp"} == {"codys-log.md"}


def test_each_demo_has_a_project_of_its_own(tmp_path):
    said: list[str] = []
    first, second = [asyncio.run(prepare(tmp_path / "demo", said.append)) for _ in range(2)]
    assert first != second
    assert not said
    ContinuousRunRequest.model_validate(request(first))
    if shutil.which("git"):
        status = subprocess.run(["git", "status", "--porcelain"], cwd=first, capture_output=True, text=True, check=True)
        assert status.stdout == ""
