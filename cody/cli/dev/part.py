"""A part of the service: a command that runs as a process of its own, with a log."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from cody.cli.dev import tether

_TAIL_BYTES = 16_384
_TAIL_LINES = 20


@dataclass(frozen=True)
class Part:
    """What to run: an absolute path and its arguments, its whole environment, and where its output goes."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    log: Path
    keeps: tuple[int, ...] = ()
    """File descriptors that it holds for as long as it lives."""


@dataclass
class Running:
    """A part that was started."""

    part: Part
    process: Process
    started_at: float
    log_from: int
    """Where this start's output begins in the log."""

    @classmethod
    async def start(cls, part: Part) -> Self:
        """Start it in a session of its own, so that the terminal's Ctrl-C reaches only `cody dev`."""
        part.log.parent.mkdir(parents=True, exist_ok=True)
        with part.log.open("ab") as log:
            begin = log.tell()
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-I", "-S", tether.__file__, str(os.getpid()), *part.command),
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
                env=part.env,
                pass_fds=part.keeps,
                start_new_session=True,
            )
        return cls(part, process, asyncio.get_running_loop().time(), begin)

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self.process.returncode is not None

    def terminate(self) -> None:
        """Ask it to end."""
        if not self.ended:
            self.process.terminate()

    def kill(self) -> None:
        """End it and everything that came from it, agents in sessions of their own too."""
        if self.ended:
            return
        try:
            family = [*psutil.Process(self.process.pid).children(recursive=True), psutil.Process(self.process.pid)]
        except psutil.NoSuchProcess:
            return
        for process in family:
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue

    def said(self) -> str:
        """The last lines that this start wrote to its log."""
        with self.part.log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self.log_from, size - _TAIL_BYTES))
            lines = log.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:])

    def how_it_ended(self) -> str:
        """`exit code 1`, or the signal's name."""
        code = self.process.returncode or 0
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
