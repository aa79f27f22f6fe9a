"""The worker's ends of an agent's pipes: output as it comes, and a prompt that nobody has to read."""

import asyncio
import contextlib
import fcntl
import os
import struct
import termios

CHUNK = 16 * 1024
"""Bytes taken at once: a millisecond's work where it is telemetry, so that what comes before is appended meanwhile."""
ROOM = 256 * 1024
"""What the pipe of an agent that prints is to hold."""
USUAL = 64 * 1024
"""What a pipe holds anyway on Linux (pipe(7))."""
FIONREAD = termios.FIONREAD
F_SETPIPE_SZ: int | None = getattr(fcntl, "F_SETPIPE_SZ", None)


def widen(fd: int, size: int) -> None:
    """Let a pipe hold `size` bytes where the system allows it (a user's pipes share a limit)."""
    if F_SETPIPE_SZ is not None and size > USUAL:
        with contextlib.suppress(PermissionError):
            fcntl.fcntl(fd, F_SETPIPE_SZ, size)


class Output:
    """Reads a pipe without ever blocking and without holding anything back. Owns the descriptor."""

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        widen(fd, ROOM)
        self._fd = fd
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._left: int | None = None

    async def read(self, within: float | None = None) -> bytes | None:
        """The next bytes as soon as there are any; b"" at the end; None if nothing came `within` these seconds."""
        await asyncio.sleep(0)  # a flood leaves room for everybody else on the loop
        chunk = self._take()
        if chunk is not None or (within is not None and within <= 0):
            return chunk
        self._waiter = self._loop.create_future()
        self._loop.add_reader(self._fd, self._wake)
        timer = self._loop.call_later(within, self._wake) if within is not None else None
        try:
            await self._waiter
        finally:
            self._waiter = None
            self._loop.remove_reader(self._fd)
            if timer:
                timer.cancel()
        return self._take()

    def finish(self) -> None:
        """Nobody writes any more: what is in the pipe now is the rest, whoever else may still hold it open."""
        if self._left is None and self._fd >= 0:
            self._left = struct.unpack("i", fcntl.ioctl(self._fd, FIONREAD, b"\0" * 4))[0]
            self._wake()

    def close(self) -> None:
        """Give the descriptor back; reading is over."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1
            self._wake()

    def _take(self) -> bytes | None:
        if self._fd < 0 or self._left == 0:
            return b""
        try:
            chunk = os.read(self._fd, CHUNK if self._left is None else min(CHUNK, self._left))
        except BlockingIOError:
            return None
        if self._left is not None:
            self._left -= len(chunk)
        return chunk

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)


class Input:
    """Writes a prompt into a pipe as fast as it is read, then closes it, unless it is to `hold` it open until `close`.

    Nobody has to read it. Owns the descriptor.
    """

    def __init__(self, fd: int, data: bytes, *, hold: bool = False) -> None:
        os.set_blocking(fd, False)
        widen(fd, min(len(data), 1024 * 1024))
        self._fd = fd
        self._hold = hold
        self._rest = memoryview(data)
        self._loop = asyncio.get_running_loop()
        self._watching = False
        self._write()
        if self._rest and self._fd >= 0:
            self._watching = True
            self._loop.add_writer(fd, self._write)

    def close(self) -> None:
        """Stop writing."""
        if self._fd >= 0:
            self._unwatch()
            os.close(self._fd)
            self._fd = -1

    def _unwatch(self) -> None:
        if self._watching:
            self._loop.remove_writer(self._fd)
            self._watching = False

    def _write(self) -> None:
        try:
            while self._rest:
                self._rest = self._rest[os.write(self._fd, self._rest) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            pass  # it ended, or closed its stdin: a prompt need not be read
        else:
            if self._hold:
                self._unwatch()
                return
        self.close()
