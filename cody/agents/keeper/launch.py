"""How an agent's process comes to be: a session of its own, default signals, found and executed as a shell would do it.

By posix_spawn(3), which does not copy the keeper: a fork, with the pages that both then copied, was 2.5 ms of CPU more.
"""

import errno
import os
import signal
from typing import Any

SIGNALS = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})
NO_PROCESS = frozenset({errno.EAGAIN, errno.ENOMEM})


class StartError(Exception):
    """The agent did not start: `number` is the errno, `at` is `fork`, `cwd` or `exec`."""

    def __init__(self, number: int, at: str) -> None:
        super().__init__(number, at)
        self.number = number
        self.at = at


def start(spec: dict[str, Any], stdio: list[int]) -> int:
    """Start the agent; its pid once the exec has worked. Raises StartError."""
    at = "cwd"
    try:
        os.chdir(spec["cwd"])
        at = "exec"
        return execute(spec["argv"], spec["env"], stdio)
    except OSError as error:
        raise StartError(error.errno or 0, "fork" if error.errno in NO_PROCESS else at) from error
    except ValueError as error:  # a NUL, or what is no text: the kernel's EINVAL, found by Python first
        raise StartError(errno.EINVAL, at) from error
    finally:
        os.chdir("/")  # a keeper holds no directory


def execute(argv: list[str], env: dict[str, str], stdio: list[int]) -> int:
    """Find the command as a shell finds it; the pid of what it is now."""
    name = argv[0]
    if "/" in name or not name:
        return spawn(name, argv, env, stdio)
    denied: OSError | None = None
    for place in env.get("PATH", os.defpath).split(os.pathsep):
        path = f"{place}/{name}" if place else name
        try:
            os.stat(path)  # noqa: PTH116  # without pathlib; a try to execute what is not there costs more
            return spawn(path, argv, env, stdio)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            denied = error
    raise denied or FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


def spawn(path: str, argv: list[str], env: dict[str, str], stdio: list[int]) -> int:
    """Execute a file in a session of its own, with default signals and its three streams; its pid."""
    streams = [(os.POSIX_SPAWN_DUP2, fd, target) for target, fd in enumerate(stdio)]
    how: dict[str, Any] = {"file_actions": streams, "setsid": True, "setsigmask": (), "setsigdef": SIGNALS}
    try:
        return os.posix_spawn(path, argv, env, **how)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        # a script without `#!`, which execvp(3) gives to the shell
        return os.posix_spawn("/bin/sh", ["sh", path, *argv[1:]], env, **how)
