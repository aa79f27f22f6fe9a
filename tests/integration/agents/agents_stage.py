import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

from cody.agents.base import Job, OutputLimits, Result, Stop
from cody.agents.command import CommandAgent
from cody.agents.environment import agent_environment
from cody.agents.keepers import Keepers
from cody.agents.sweep import worker_marker
from cody.contract.agents import CommandAgent as CommandSpec
from cody.contract.payloads import Payload

ESCAPE = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execve("/bin/sh", ["sh", "-c", "echo $$ > escaped.tmp; mv escaped.tmp escaped; exec sleep 1000"], {})
    os._exit(0)
os.wait()
print("ready", flush=True)
time.sleep(1000)
"""
"""A command whose grandchild leaves session, group, parent and environment, and writes its pid down."""


class Heard:
    """A sink that keeps everything, with the time at which it came."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Payload]] = []
        self.times: list[float] = []
        self.raw = bytearray()

    def emit(self, type_: str, payload: Payload) -> None:
        self.events.append((type_, payload))
        self.times.append(time.monotonic())

    def keep(self, chunk: bytes) -> None:
        self.raw += chunk

    async def ready(self) -> None:
        return

    def of(self, type_: str) -> list[Payload]:
        return [payload for each, payload in self.events if each == type_]

    def types(self) -> list[str]:
        return [each for each, _ in self.events]

    def text(self, stream: str = "stdout") -> str:
        return "".join(payload.text for payload in self.of("subprocess_output") if payload.stream == stream)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def pid_in(path: Path) -> int:
    """The pid that a process has written into a file, 0 until then."""
    text = path.read_text() if path.exists() else ""
    return int(text) if text.endswith("\n") else 0


def popen(command: list[str], **more: object) -> "subprocess.Popen[bytes]":
    """A process that no keeper holds."""
    return subprocess.Popen(command, **more)  # type: ignore[call-overload]


class Stage:
    """Runs commands as turns in a directory of its own."""

    def __init__(self, keepers: Keepers, root: Path) -> None:
        self.keepers = keepers
        self.root = root
        self.heard = Heard()
        self.stop = Stop()
        self.run_id = f"run_{root.name.replace('.', '_')}_{os.getpid()}"

    def job(self, command: list[str], prompt: str = "", **changes: object) -> Job:
        env = agent_environment(os.environ, {}, run_id=self.run_id, turn=1, attempt=1, worker=worker_marker())
        fields: dict[str, object] = {
            "run_id": self.run_id,
            "turn": 1,
            "attempt": 1,
            "turn_id": "turn_1",
            "response_id": "resp_1",
            "thread_id": "thread_1",
            "agent": CommandSpec(kind="command", command=command),
            "prompt": prompt,
            "working_dir": self.root,
            "env": env,
            "stop": self.stop,
            "kill_grace_seconds": 5.0,
            "limits": OutputLimits(),
        }
        return Job(**(fields | changes))  # type: ignore[arg-type]

    async def run(self, command: list[str], prompt: str = "", **changes: object) -> Result:
        return await CommandAgent(self.keepers).run(self.job(command, prompt, **changes), self.heard)

    async def sh(self, script: str, **changes: object) -> Result:
        return await self.run(["sh", "-c", script], **changes)

    async def py(self, code: str, **changes: object) -> Result:
        return await self.run([sys.executable, "-c", textwrap.dedent(code)], **changes)
