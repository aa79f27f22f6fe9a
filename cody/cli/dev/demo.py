"""The demo run: a small project with failing tests, and an agent that mends it while one watches."""

import asyncio
import shlex
import shutil
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cody.cli.client import Client, RefusedError, UnreachableError
from cody.cli.invocation import cody
from cody.cli.remote import explain
from cody.cli.watching import ForPerson, watch
from cody.contract.runs import Accepted

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures" / "demo"
_TEMPLATE = """\
You are mending a small Python project whose tests fail.
Mend one fault a turn, run the tests, and write what you did to codys-log.md.
When all tests pass, write the line ALL DONE.
"""
_GIT = ("git", "-c", "user.name=Cody", "-c", "user.email=cody@localhost", "-c", "commit.gpgsign=false")

Say = Callable[[str], None]


class DemoError(Exception):
    """The demo cannot be shown; the message says why."""


def request(project: Path) -> dict[str, Any]:
    """The start request: a `command` agent, a prompt that is built anew for every turn, and a goal."""
    return {
        "agent": {"kind": "command", "command": [sys.executable, str(FIXTURES / "agent.py")]},
        "working_dir": str(project),
        "epic_id": "demo",
        "prompt": {
            "template": _TEMPLATE,
            "state_files": ["codys-log.md"],
            "reference_files": ["design.md"],
        },
        "completion": {"log": "codys-log.md", "pattern": "^ALL DONE$"},
        "max_turns": 6,
        "watch": {"exclude": [".git/**", "**/__pycache__/**", ".pytest_cache/**"]},
    }


async def prepare(demos: Path, say: Say) -> Path:
    """A fresh copy of the project, as a git repository if there is git."""
    project = await asyncio.to_thread(_copy, demos)
    if shutil.which("git"):
        commit = ("commit", "-q", "--no-verify", "-m", "A project with three faults")
        for arguments in (("init", "-q"), ("add", "-A"), commit):
            await _git(project, arguments, say)
    return project


def _copy(demos: Path) -> Path:
    if not FIXTURES.is_dir():
        raise DemoError(f"{FIXTURES} is not there; the demo needs a checkout of Cody")
    demos.mkdir(parents=True, exist_ok=True)
    project = Path(tempfile.mkdtemp(prefix=time.strftime("%Y%m%d-%H%M%S-"), dir=demos))
    ignored = shutil.ignore_patterns("__pycache__", ".*_cache")
    return shutil.copytree(FIXTURES / "project", project, ignore=ignored, dirs_exist_ok=True)


async def _git(project: Path, arguments: tuple[str, ...], say: Say) -> None:
    process = await asyncio.create_subprocess_exec(*_GIT, *arguments, cwd=project, stdout=PIPE, stderr=STDOUT)
    said, _ = await process.communicate()
    if process.returncode:
        say(f"demo: git {arguments[0]} did not succeed: {said.decode(errors='replace').strip()}")


async def show(url: str, demos: Path, say: Say) -> None:
    """Start the demo run, print it as it happens, and say where to look. What goes wrong is said, too."""
    try:
        project = await prepare(demos, say)
        async with Client(url) as client:
            run = await client.start(request(project))
            say(f"\nDemo: an agent mends the project in {project}\n")
            await watch(client, run.run_id, ForPerson(cody=cody(url)))
    except RefusedError as error:
        say(f"demo: {explain(error)}")
    except (DemoError, UnreachableError) as error:
        say(f"demo: {error}")
    else:
        say(_where_to_look(url, run, project))


def _where_to_look(url: str, run: Accepted, project: Path) -> str:
    lines = (
        "",
        f"What it did        cd {shlex.quote(str(project))} && git diff",
        f"Watch it again     {cody(url)} watch {run.run_id}",
        f"See it in Temporal {run.links.temporal or '–'}",
        "Now one of yours, in your project:",
        f"  {cody(url)} run --max-turns 3 --prompt 'What to do' -- ./your-agent.sh",
        "",
    )
    return "\n".join(lines)
