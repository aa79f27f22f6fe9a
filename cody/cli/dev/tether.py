"""Run a command that ends when `cody dev` is gone, however that ended: `python -I -S tether.py PARENT CMD…`.

Linux sends a process the signal it asked for when its parent dies (prctl(2), PR_SET_PDEATHSIG), and the request
outlives exec. It is made here, in a small program of its own, because code between fork and exec may not take locks
that a thread of the parent holds. This file is run as a script and imports only the standard library.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: int, command: list[str]) -> None:
    """Become `command`, tethered to the process `parent`."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the request was made
            sys.exit(1)
    try:
        os.execv(command[0], command)  # noqa: S606  # no shell is what we want
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
