"""A small disk of its own that can be full: a tmpfs in a mount namespace of its own, which needs no privileges.

Where the kernel refuses that (some machines let nobody make user namespaces), a limit on the size of files takes its
place, and says so: writes fail with EFBIG instead of ENOSPC, in the processes that it is set for.
"""

import errno
import resource
import shutil
import subprocess
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

SIZE = "192m"
_BALLAST = 1 << 20
_HOLD = 'mount -t tmpfs -o "size=$1,mode=0700" none "$2" && echo held && exec sleep infinity'


class Disk:
    """A disk at `place`, as those see it who are started `within`; everybody else finds it at `path`."""

    def __init__(self, place: Path, holder: "subprocess.Popen[bytes] | None") -> None:
        self._holder = holder
        self.path = place if holder is None else Path(f"/proc/{holder.pid}/root") / place.relative_to("/")
        self._limited: list[psutil.Process] = []

    @property
    def is_real(self) -> bool:
        """Whether what is written to it when it is full gets ENOSPC."""
        return self._holder is not None

    def within(self, folder: Path) -> Sequence[str]:
        """What to put before a command, for it to see the disk; it works in `folder`."""
        if self._holder is None:
            return ()
        enter = ("nsenter", f"--target={self._holder.pid}", "--user", "--mount", "--preserve-credentials")
        return (*enter, f"--wd={folder}")

    def fill(self, processes: Iterable[psutil.Process]) -> None:
        """Leave no room; without a disk of its own, for these processes."""
        if not self.is_real:
            self._limit(processes)
            return
        with (self.path / "ballast").open("ab", buffering=0) as ballast:
            for size in (_BALLAST, 4096, 1):
                with suppress_full():
                    while True:
                        ballast.write(bytes(size))

    def free(self) -> None:
        """Make room again."""
        (self.path / "ballast").unlink(missing_ok=True)
        for process in self._limited:
            with suppress(psutil.NoSuchProcess):
                process.rlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        self._limited.clear()

    def save(self, to: Path) -> None:
        """Copy what is on it, as it ends with those who use it."""
        if self.is_real:
            shutil.copytree(self.path, to, ignore=shutil.ignore_patterns("ballast"))

    def _limit(self, processes: Iterable[psutil.Process]) -> None:
        for process in processes:
            process.rlimit(resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
            self._limited.append(process)


@contextmanager
def suppress_full() -> Generator[None]:
    """Pass over ENOSPC."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


@contextmanager
def disk_at(place: Path) -> Generator[Disk]:
    """A disk at `place`, an empty directory, for as long as the context lasts."""
    command = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", _HOLD, "disk", SIZE, str(place))
    holder = subprocess.Popen(command, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert holder.stdout is not None
    try:
        held = holder.stdout.readline() == b"held\n"
        yield Disk(place, holder if held else None)
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
