"""Starts agents' processes for a worker: keepers (see `keeper`), one to each agent, and then to the next."""

import asyncio
import contextlib
import errno
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from weakref import WeakSet

from cody.agents.pipes import Input, Output
from cody.agents.process import AgentProcess, Control, SpawnError

ROOT = str(Path(__file__).parents[2])
PROGRAM = "import sys; sys.path.append(sys.argv[2]); from cody.agents.keeper.door import main; main()"
"""The path is appended, so that nothing in it can stand before the standard library."""
BUSY_SECONDS = 0.002
TRIES = 2
IDLE = 8
"""Keepers that may wait for an agent; one always does, so that hardly an agent waits for a fork."""


class Helper:
    """The helper process: the parent of all keepers. It ends by itself when its door is closed and all are done."""

    def __init__(self) -> None:
        self.door, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            self.door.setblocking(False)
            self.process = subprocess.Popen(  # noqa: S603  # our own program
                [sys.executable, "-I", "-S", "-X", "utf8", "-c", PROGRAM, str(theirs.fileno()), ROOT],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={},  # it must carry no marks: an outer Cody's sweep would end it before its agents
                cwd="/",
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self.process.poll() is None

    async def keeper(self) -> socket.socket:
        """The line to a new keeper; raises BrokenPipeError or ConnectionResetError if the helper is gone."""
        ours, line = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with line:
            try:
                await self._send(line)
            except BaseException:
                ours.close()
                raise
        return ours

    async def _send(self, line: socket.socket) -> None:
        while True:
            try:
                socket.send_fds(self.door, [b"+"], [line.fileno()])
            except BlockingIOError:
                await asyncio.sleep(BUSY_SECONDS)
            else:
                return


class Keepers:
    """What a worker starts agents with; it must be `close`d."""

    def __init__(self) -> None:
        self._helper: Helper | None = None
        self._agents: WeakSet[AgentProcess] = WeakSet()
        self._idle: list[socket.socket] = []
        """The lines to keepers that have no agent."""

    def start(self) -> Helper:
        """Start the helper if there is none; keepers whose helper died are let go, as nobody would heal their death."""
        if self._helper is None or not self._helper.alive:
            self._let_idle_go()
            if self._helper:
                self._helper.door.close()
            self._helper = Helper()
        return self._helper

    async def stand_by(self) -> None:
        """Have a keeper waiting; a worker does so early, so that not even its first agent need wait for one."""
        if not self._idle:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the next agent sees to another helper
                self._give_back(await self.start().keeper())

    def _give_back(self, line: socket.socket) -> None:
        """Of a keeper whose agent is gone."""
        if len(self._idle) < IDLE and self._helper is not None:
            self._idle.append(line)
        else:
            line.close()

    def _let_idle_go(self) -> None:
        for line in self._idle:
            line.close()
        self._idle.clear()

    async def spawn(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdin: bytes = b"",
        hold_stdin: bool = False,
        grace_seconds: float = 5.0,
    ) -> AgentProcess:
        """Start `argv` in `cwd` with exactly `env`, in a session of its own; `stdin` is what it can read there.

        With `hold_stdin` its stdin stays open after that, until `AgentProcess.hang_up`.

        `grace_seconds` is what its keeper grants between SIGTERM and SIGKILL to what the agent leaves in the
        background, and to everything if this worker dies. Raises SpawnError.
        """
        spec = {"argv": list(argv), "cwd": str(cwd), "env": dict(env), "grace": grace_seconds}
        for _ in range(TRIES):
            helper = self.start()
            process = await self._ask(helper, json.dumps(spec).encode(), stdin, hold_stdin, env, grace_seconds)
            if process:
                return process
            self._let_idle_go()  # whatever ended one of them
        raise SpawnError(errno.EAGAIN, "keeper", argv[0])

    async def close(self) -> None:
        """End what is still running (without waiting for its grace) and let the helper go."""
        for agent in list(self._agents):
            agent.close()
        self._let_idle_go()
        helper, self._helper = self._helper, None
        if helper:
            helper.door.close()
            with contextlib.suppress(subprocess.TimeoutExpired):  # it outlives us until its keepers' grace is over
                await asyncio.to_thread(helper.process.wait, 0.5)

    async def _ask(
        self,
        helper: Helper,
        spec: bytes,
        stdin: bytes,
        hold_stdin: bool,
        env: Mapping[str, str],
        grace_seconds: float,
    ) -> AgentProcess | None:
        """One try: the process, or None if its keeper or the helper died. Raises SpawnError for what is the agent's
        fault.
        """
        with contextlib.ExitStack() as undo, contextlib.ExitStack() as theirs:
            try:
                line = self._idle.pop() if self._idle else await helper.keeper()
            except (BrokenPipeError, ConnectionResetError):
                return None
            control = Control(line, grace_seconds)
            undo.callback(control.close)
            ends = [os.pipe() for _ in range(3)]
            for fd in (ends[0][0], ends[1][1], ends[2][1]):
                theirs.callback(os.close, fd)
            streams = (Input(ends[0][1], stdin, hold=hold_stdin), Output(ends[1][0]), Output(ends[2][0]))
            for stream in streams:
                undo.callback(stream.close)
            paper = _paper(spec)
            theirs.callback(os.close, paper)
            if not control.hand_over([paper, ends[0][0], ends[1][1], ends[2][1]]):
                return None
            theirs.close()  # so that the agent's end of them can be seen from here
            word = await control.started
            if word is None:
                return None
            if "pid" not in word:
                raise SpawnError(word["failed"], word["at"], json.loads(spec)["argv"][0])
            await self.stand_by()
            undo.pop_all()
            process = AgentProcess(word["pid"], control, streams, env, self._give_back)
            self._agents.add(process)
            return process


def _paper(text: bytes) -> int:
    """A descriptor of a nameless file that holds `text`: arguments and environment may be larger than a message."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("cody-agent")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    view = memoryview(text)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
