"""How an agent's process comes to be: fork, a session of its own, default signals, exec as a shell would do it."""

import errno
import os
import signal
from typing import Any


class StartError(Exception):
    """The agent did not start: `number` is the errno, `at` is `fork`, `cwd` or `exec`."""

    def __init__(self, number: int, at: str) -> None:
        super().__init__(number, at)
        self.number = number
        self.at = at


def start(spec: dict[str, Any], stdio: list[int]) -> int:
    """Fork and exec the agent in a session of its own; its pid once the exec has worked. Raises StartError."""
    reader, writer = os.pipe()
    try:
        pid = os.fork()
    except OSError as error:
        raise StartError(error.errno or 0, "fork") from error
    if pid == 0:
        at = "cwd"
        try:
            os.setsid()
            os.chdir(spec["cwd"])
            at = "exec"
            execute(spec["argv"], spec["env"], stdio)
        except OSError as error:
            os.write(writer, f"{error.errno} {at}".encode())
        except ValueError:  # a NUL, or what is no text: the kernel's EINVAL, found by Python first
            os.write(writer, f"{errno.EINVAL} {at}".encode())
        os._exit(127)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        said = file.read().decode()  # the end without a word: the exec closed it
    if said:
        os.waitpid(pid, 0)
        number, at = said.split()
        raise StartError(int(number), at)
    return pid


def execute(argv: list[str], env: dict[str, str], stdio: list[int]) -> None:
    """Become the agent: default signals, its three streams, the command found as a shell finds it."""
    for known in signal.valid_signals():
        if known not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(known, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for target, fd in enumerate(stdio):
        os.dup2(fd, target, inheritable=True)
    name = argv[0]
    places = [""] if "/" in name or not name else env.get("PATH", os.defpath).split(os.pathsep)
    denied: OSError | None = None
    for place in places:
        path = f"{place}/{name}" if place else name
        try:
            os.execve(path, argv, env)  # noqa: S606  # no shell is the point
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            if error.errno == errno.ENOEXEC:  # a script without `#!`, which execvp(3) gives to the shell
                os.execve("/bin/sh", ["sh", path, *argv[1:]], env)  # noqa: S606  # the same
            denied = error
    raise denied or FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
