"""Runs an agent's process through a keeper, so that it and everything it started can be ended; see `keeper`."""

import asyncio
import contextlib
import errno
import json
import os
import socket
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from cody.agents.base import Quiet
from cody.agents.pipes import Input, Output
from cody.agents.sweep import ATTEMPT, RUN_ID, TURN, sweep_attempt
from cody.clock import now_ms
from cody.metrics import AGENTS


class SpawnError(Exception):
    """The process did not start: `number` is the errno, `at` says where (`fork`, `cwd`, `exec` or `keeper`)."""

    def __init__(self, number: int, at: str, what: str) -> None:
        super().__init__(f"cannot start {what}: {os.strerror(number)}")
        self.number = number
        self.at = at

    @property
    def exit_code(self) -> int:
        """What a shell would answer: 127 for a command that is not found, 126 for one that cannot be executed."""
        return 127 if self.number in (errno.ENOENT, errno.ENOTDIR) else 126


@dataclass(frozen=True)
class Exit:
    """How the agent's own process ended: `code` is negative for a signal, None if its keeper was lost."""

    code: int | None


class AgentProcess:
    """A running agent. `stdout` and `stderr` are read by whoever wants them; `close` when done with them."""

    def __init__(
        self,
        pid: int,
        control: "Control",
        streams: tuple[Input, Output, Output],
        marks: Mapping[str, str],
        give_back: Callable[[socket.socket], None],
    ) -> None:
        self.pid = pid
        self._give_back = give_back
        self._stdin, self.stdout, self.stderr = streams
        self._control = control
        self._marks = marks
        self._quiet: asyncio.Task[Quiet] = asyncio.create_task(self._until_quiet())
        AGENTS.inc()
        self._quiet.add_done_callback(lambda _: AGENTS.dec())

    async def wait(self) -> Exit:
        """Wait for the agent's own process; what it left in the background may still be there."""
        return await asyncio.shield(self._control.exited)

    async def quiet(self) -> Quiet:
        """Wait until nothing of it is left; the streams then end with what they hold."""
        return await asyncio.shield(self._quiet)

    async def end(self, grace_seconds: float, signals: Sequence[str] = ("SIGTERM",)) -> Quiet:
        """Ask everything to stop by these signals, which share the grace, then kill; return when nothing is left.

        That is checked twice: the keeper has no child left, and no process carries the attempt's marks.
        """
        self._control.say({"end": list(signals), "grace": grace_seconds})
        return _joined(await self.quiet(), await self._sweep(0.0))

    @asynccontextmanager
    async def attended(self, grace_seconds: float, signals: Sequence[str]) -> AsyncGenerator[asyncio.TaskGroup]:
        """Tasks beside the process: whatever goes wrong with one of them ends it, and is raised as it was."""
        try:
            async with asyncio.TaskGroup() as group:
                yield group
        except BaseExceptionGroup as failed:
            await self.end(grace_seconds, signals)
            raise failed.exceptions[0] from None
        except BaseException:
            await self.end(grace_seconds, signals)
            raise

    def hang_up(self) -> None:
        """Close its stdin, where that was held open."""
        self._stdin.close()

    def close(self) -> None:
        """Let go of the descriptors; if the agent is still there, its keeper now ends it, else it may keep another."""
        for each in (self._stdin, self.stdout, self.stderr):
            each.close()
        if (line := self._control.release()) is not None:
            self._give_back(line)
        self._quiet.cancel()

    async def _until_quiet(self) -> Quiet:
        word = await self._control.quieted
        if word is None:  # the keeper was lost: the marks have to do
            quiet = await self._sweep(self._control.grace_seconds)
        else:
            quiet = Quiet(now_ms(), tuple(word["signals"]), tuple(word["reaped"]), tuple(word["survivors"]))
        self._stdin.close()
        self.stdout.finish()
        self.stderr.finish()
        return quiet

    async def _sweep(self, grace_seconds: float) -> Quiet:
        if not all(self._marks.get(name) for name in (RUN_ID, TURN, ATTEMPT)):
            return Quiet(now_ms())
        run_id, turn, attempt = (self._marks[name] for name in (RUN_ID, TURN, ATTEMPT))
        return await sweep_attempt(run_id, turn, attempt, grace_seconds=grace_seconds)


def _joined(first: Quiet, then: Quiet) -> Quiet:
    """One receipt of two; who survived the first and was met again in the second is judged by the second."""
    survivors = (set(first.survivors) | set(then.survivors)) - set(then.reaped)
    return Quiet(
        at=now_ms() if then.signals else first.at,
        signals=tuple(dict.fromkeys(first.signals + then.signals)),
        reaped=tuple(sorted({*first.reaped, *then.reaped} - survivors)),
        survivors=tuple(sorted(survivors)),
    )


class Control:
    """The line to an agent's keeper: what it says becomes futures, and losing it resolves the open ones with None."""

    def __init__(self, line: socket.socket, grace_seconds: float) -> None:
        line.setblocking(False)
        self.grace_seconds = grace_seconds
        self._line = line
        self._heard = b""
        self._loop = asyncio.get_running_loop()
        self.started: asyncio.Future[dict[str, Any] | None] = self._loop.create_future()
        self.exited: asyncio.Future[Exit] = self._loop.create_future()
        self.quieted: asyncio.Future[dict[str, Any] | None] = self._loop.create_future()
        self._loop.add_reader(line.fileno(), self._hear)

    def hand_over(self, fds: Sequence[int]) -> bool:
        """Give the keeper its agent: SPEC, STDIN, STDOUT, STDERR; False if the keeper is gone."""
        try:
            socket.send_fds(self._line, [b"+"], list(fds))
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def say(self, order: Mapping[str, Any]) -> None:
        """Give an order; a keeper that is gone needs none."""
        if self._line.fileno() < 0:
            return
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._line.send(json.dumps(order).encode() + b"\n")

    def close(self) -> None:
        """Hang up: for the keeper, the worker is gone."""
        if self._line.fileno() >= 0:
            self._loop.remove_reader(self._line.fileno())
            self._line.close()
        self._lost()

    def release(self) -> socket.socket | None:
        """Have nothing more to do with the line: it is given to whoever has the keeper's next agent, where the keeper
        has said that nothing is left of this one, else closed.
        """
        word = self.quieted.result() if self.quieted.done() else None
        if self._line.fileno() < 0 or word is None or word["survivors"]:
            self.close()
            return None
        self._loop.remove_reader(self._line.fileno())
        return socket.socket(fileno=self._line.detach())

    def _hear(self) -> None:
        try:
            data = self._line.recv(65536)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if not data:
            self._loop.remove_reader(self._line.fileno())
            self._lost()
        *lines, self._heard = (self._heard + data).split(b"\n")
        for line in lines:
            self._understand(json.loads(line))

    def _understand(self, word: dict[str, Any]) -> None:
        if "exit" in word:
            _settle(self.exited, Exit(word["exit"]))
        elif "quiet" in word:
            _settle(self.quieted, word["quiet"])
        else:
            _settle(self.started, word)

    def _lost(self) -> None:
        _settle(self.started, None)
        _settle(self.exited, Exit(None))
        _settle(self.quieted, None)


def _settle(future: "asyncio.Future[Any]", value: object) -> None:
    if not future.done():
        future.set_result(value)
