"""One agent's keeper: starts it, waits, and ends everything when told to or when the worker is gone."""

import json
import os
import select
import socket
import time
from typing import Any

from cody.agents.keeper.launch import StartError, start
from cody.agents.keeper.tree import LINUX, descendants, drain, send

KILL_PATIENCE_SECONDS = 3.0
"""How long a process may take to die of SIGKILL before it counts as a survivor (stuck in the kernel, not ours)."""
KILL_ROUND_SECONDS = 0.02
LOOK_AGAIN_SECONDS = 0.1
MAX_REAPED = 10_000
"""So that the last message always fits the socket's buffer."""


class Keeper:
    """One agent's keeper: starts it, waits, and ends everything when told to or when the worker is gone."""

    def __init__(self, control: socket.socket, spec: dict[str, Any]) -> None:
        self.control = control
        self.spec = spec
        self.main = 0
        self.main_ended = False
        self.childless = False
        self.worker_gone = False
        self.heard = b""
        self.steps: list[tuple[float, str]] | None = None
        self.gives_up_at: float | None = None
        self.signals: list[str] = []
        self.signalled: set[int] = set()
        self.reaped: set[int] = set()

    def say(self, message: dict[str, Any]) -> None:
        """Tell the worker, if it is still there."""
        try:
            self.control.sendall(json.dumps(message).encode() + b"\n")
        except (BrokenPipeError, ConnectionResetError):
            self.worker_gone = True

    def run(self, stdio: list[int], waker: int) -> bool:
        """From the agent's start to the last word about it; whether there can be another agent after it."""
        try:
            self.main = start(self.spec, stdio)
        except StartError as failure:
            self.say({"failed": failure.number, "at": failure.at})
            return False
        for fd in stdio:
            os.close(fd)  # else the pipes would never end
        self.say({"pid": self.main})
        while True:
            self.reap()
            if self.childless or self.gave_up():
                break
            timeout = self.act()
            watched = [waker] if self.worker_gone else [waker, self.control.fileno()]
            ready = select.select(watched, [], [], timeout)[0]
            if waker in ready:
                drain(waker)
            if self.control.fileno() in ready:
                self.hear()
        left = descendants(os.getpid()) if LINUX and not self.childless else []
        gone = sorted((self.reaped | self.signalled) - set(left))[:MAX_REAPED]
        self.say({"quiet": {"signals": self.signals, "reaped": gone, "survivors": left}})
        return not left and not self.worker_gone

    def reap(self) -> None:
        """Collect every child that has ended; the agent's own end is told at once."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self.childless = True
                return
            if pid == 0:
                return
            if pid == self.main or self.steps is not None:
                self.reaped.add(pid)
            if pid == self.main:
                self.main_ended = True
                self.say({"exit": os.waitstatus_to_exitcode(status)})
                self.begin(["SIGTERM"], self.spec["grace"])  # what it left in the background ends with the turn

    def hear(self) -> None:
        """Read what the worker wants; its silence for good means that it is gone."""
        try:
            data = self.control.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.worker_gone = True
            self.begin(["SIGTERM"], self.spec["grace"])
        *lines, self.heard = (self.heard + data).split(b"\n")
        for line in lines:
            order = json.loads(line)
            self.begin(order["end"], order["grace"])

    def begin(self, names: list[str], grace: float) -> None:
        """Plan the end: the signals share the grace evenly, then everything is killed. A plan is only ever hastened."""
        now = time.monotonic()
        if self.steps is None:
            gap = grace / max(1, len(names))
            self.steps = [(now + index * gap, name) for index, name in enumerate(names)]
            self.steps.append((now + grace, "SIGKILL"))
        elif self.steps:
            self.steps[-1] = (min(self.steps[-1][0], now + grace), "SIGKILL")

    def act(self) -> float | None:
        """Do what is due; the seconds until there is more to do, None for nothing but waiting."""
        if self.steps is None:
            return None
        now = time.monotonic()
        while self.steps and (self.steps[0][0] <= now or self.steps[-1][0] <= now):
            _, name = self.steps.pop(0)
            self.signal_all(name, again=True)
            if not self.steps:
                self.gives_up_at = now + KILL_PATIENCE_SECONDS
        if not self.steps:
            self.signal_all("SIGKILL", again=True)
            return KILL_ROUND_SECONDS
        if self.main_ended:
            # Started since the signal, by something that is ending: nobody is left whose cleaning up it could be.
            self.signal_all(self.signals[-1] if self.signals else "SIGTERM", again=False)
        return min(LOOK_AGAIN_SECONDS, max(0.0, self.steps[0][0] - now))

    def gave_up(self) -> bool:
        """Whether what is left does not die even of SIGKILL."""
        return self.gives_up_at is not None and time.monotonic() > self.gives_up_at

    def signal_all(self, name: str, *, again: bool) -> None:
        """Signal every descendant (only those that had no signal yet, unless `again`)."""
        if not LINUX:
            send(-self.main, name)
            targets = [self.main]
        else:
            targets = [pid for pid in descendants(os.getpid()) if again or pid not in self.signalled]
            targets = [pid for pid in targets if send(pid, name)]
        self.signalled.update(targets)
        if targets and name not in self.signals:
            self.signals.append(name)
