"""What a keeper asks of the system: who descends from whom, signals, adoption, and being woken when a child ends."""

import ctypes
import os
import signal
import sys
from collections.abc import Set as AbstractSet
from types import FrameType

LINUX = sys.platform == "linux"
PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None, use_errno=True)


def become_subreaper() -> None:
    """Adopt every descendant that loses its parent."""
    if LINUX and _LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def descendants(root: int, sparing: AbstractSet[int] = frozenset()) -> list[int]:
    """The processes below `root`, parents before children, without the `sparing` ones and what is below them.

    A zombie counts, for it may have living threads.
    """
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208  # names are all it takes, and pathlib costs the start 10 ms
        if not name.isdigit():
            continue
        try:
            fd = os.open(f"/proc/{name}/stat", os.O_RDONLY)
            try:
                stat = os.read(fd, 4096)
            finally:
                os.close(fd)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        # A command's name may hold blanks and brackets: the fields go on after the last bracket.
        parent = stat[stat.rindex(b")") + 2 :].split(None, 2)[1]
        children.setdefault(int(parent), []).append(int(name))
    found = [pid for pid in children.get(root, ()) if pid not in sparing]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


def send(pid: int, name: str) -> bool:
    """Send a signal; False if the process is gone or may not be signalled."""
    try:
        os.kill(pid, signal.Signals[name])
        if name != "SIGKILL":
            os.kill(pid, signal.SIGCONT)  # a stopped process would never see it
    except (ProcessLookupError, PermissionError):
        return False
    return True


def wakeup() -> int:
    """A descriptor that is readable whenever a child has ended."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, _nothing)  # ignoring it would make the kernel reap, and the wake-up never come
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader


def drain(reader: int) -> None:
    """Empty the wake-up pipe."""
    try:
        while os.read(reader, 4096):
            pass
    except BlockingIOError:
        return


def _nothing(_number: int, _frame: FrameType | None) -> None:
    return
