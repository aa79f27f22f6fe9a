"""One `cody dev` to a data directory, and none before the servers of a killed one have let go of its files."""

import fcntl
import os
import time
from pathlib import Path

_PATIENCE_SECONDS = 5.0
"""How long the servers of a `cody dev` that was killed may take to end."""


class DataDirInUseError(Exception):
    """Another `cody dev` uses the data directory; the message says which."""


class DataDirLock:
    """Holds the data directory until it is closed, and until every process that `fd` was handed to is gone."""

    def __init__(self, data_dir: Path, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        path = data_dir / "dev.lock"
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        until = time.monotonic() + patience_seconds
        while not self._taken():
            owner = path.read_text().strip()
            # An owner that lives keeps it; one that was killed leaves servers that take a moment to end.
            if _alive(owner) or time.monotonic() > until:
                os.close(self.fd)
                raise DataDirInUseError(_message(data_dir, owner))
            time.sleep(0.1)
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Let go."""
        os.close(self.fd)

    def _taken(self) -> bool:
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _alive(pid: str) -> bool:
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _message(data_dir: Path, owner: str) -> str:
    who = f"another cody dev (process {owner})" if _alive(owner) else "parts of a cody dev that was killed"
    return f"the data directory {data_dir} is in use by {who}; stop it, or choose another with --data-dir"
