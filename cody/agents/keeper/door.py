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

DESCRIPTORS = 5
"""What comes with a request: CONTROL, SPEC, STDIN, STDOUT, STDERR."""


def keep(fds: list[int]) -> None:
    """A forked keeper's whole life."""
    signal.set_wakeup_fd(-1)
    waker = wakeup()
    become_subreaper()
    with os.fdopen(fds[1], "rb") as file:
        spec = json.loads(file.read())
    Keeper(socket.socket(fileno=fds[0]), spec).run(fds[2:], waker)


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
            data, fds, _, _ = socket.recv_fds(door, 1, DESCRIPTORS)
            for fd in fds:
                os.set_inheritable(fd, False)  # recv_fds passes no flags on (CPython 3.11), so no MSG_CMSG_CLOEXEC
            if not data:
                watched.remove(door.fileno())
            elif len(fds) == DESCRIPTORS:
                keepers.add(fork_keeper(door, waker, fds))
            else:  # out of descriptors: the kernel dropped some, and closing the rest tells the worker
                close(fds)


def fork_keeper(door: socket.socket, waker: int, fds: list[int]) -> int:
    """The new keeper's pid. If the machine cannot fork, closing the descriptors tells the worker."""
    try:
        pid = os.fork()
    except OSError as error:
        os.write(fds[0], json.dumps({"failed": error.errno, "at": "fork"}).encode() + b"\n")
        pid = -1
    if pid == 0:
        door.close()
        os.close(waker)
        keep(fds)
        os._exit(0)
    close(fds)
    return pid


def close(fds: list[int]) -> None:
    """Keep nothing of an agent's here: the keepers to come would inherit it."""
    for fd in fds:
        os.close(fd)


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
