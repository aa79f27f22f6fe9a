"""The helper process itself: it forks a keeper for each request that comes through the door."""

import gc
import json
import os
import select
import signal
import socket
import sys

from cody.agents.keeper.kept import Keeper
from cody.agents.keeper.tree import LINUX, become_subreaper, descendants, drain, send, wakeup

JOB = 4
"""What comes with an agent to keep: SPEC, STDIN, STDOUT, STDERR."""
ORDERS = 65536


def keep(line: int) -> None:
    """A forked keeper's whole life: one agent after the other, each when nothing is left of the one before."""
    signal.set_wakeup_fd(-1)
    waker = wakeup()
    become_subreaper()
    control = socket.socket(fileno=line)
    while fds := next_job(control):
        with os.fdopen(fds[0], "rb") as file:
            spec = json.loads(file.read())
        if not Keeper(control, spec).run(fds[1:], waker):
            return


def next_job(control: socket.socket) -> list[int]:
    """The descriptors of the next agent; none if the worker is gone, or the kernel dropped some of them."""
    while True:
        try:
            data, fds = receive(control, ORDERS, JOB)
        except ConnectionResetError:
            return []
        if fds or not data:
            return fds if len(fds) == JOB else []
        # No more than an order that came too late for the agent before.


def receive(line: socket.socket, size: int, most: int) -> tuple[bytes, list[int]]:
    """Bytes and descriptors, which no agent is to inherit."""
    data, fds, _, _ = socket.recv_fds(line, size, most)
    for fd in fds:
        os.set_inheritable(fd, False)  # recv_fds passes no flags on (CPython 3.11), so no MSG_CMSG_CLOEXEC
    return data, fds


def serve(door: socket.socket) -> None:
    """Fork a keeper for each request; end when the worker is gone and every keeper is done."""
    waker = wakeup()
    become_subreaper()  # so that not even the death of a keeper sets its agent's processes free
    keepers: set[int] = set()
    watched = [door.fileno(), waker]
    while len(watched) > 1 or keepers:
        ready = select.select(watched, [], [])[0]
        if waker in ready:
            drain(waker)
            adopt(keepers)
        if door.fileno() in ready:
            data, fds = receive(door, 1, 1)
            if not data:
                watched.remove(door.fileno())
            for line in fds:  # none if we are out of descriptors: the kernel dropped it, and so tells the worker
                keepers.add(fork_keeper(door, waker, line))


def fork_keeper(door: socket.socket, waker: int, line: int) -> int:
    """The new keeper's pid. If the machine cannot fork, the worker is told."""
    try:
        pid = os.fork()
    except OSError as error:
        os.write(line, json.dumps({"failed": error.errno, "at": "fork"}).encode() + b"\n")
        pid = -1
    if pid == 0:
        door.close()
        os.close(waker)
        keep(line)
        os._exit(0)
    os.close(line)  # the keepers to come would inherit it
    return pid


def adopt(keepers: set[int]) -> None:
    """Collect what ended; what a dead keeper left behind has nobody who could ask it nicely, so it is killed."""
    keepers.discard(-1)
    unkept = False
    try:
        while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            keepers.discard(ended[0])
            unkept |= ended[1] != 0
    except ChildProcessError:
        keepers.clear()
        return
    if LINUX and unkept:
        for pid in descendants(os.getpid(), sparing=keepers):
            send(pid, "SIGKILL")


def main() -> None:
    """The program: descriptors 0–2 are always taken, so that a received one is never a standard stream."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)  # it ends when the worker does, and not before the agents
    door = socket.socket(fileno=int(sys.argv[1]))
    door.set_inheritable(False)
    gc.freeze()
    serve(door)
