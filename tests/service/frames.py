"""A stream as it is on the wire, read byte for byte."""

import json
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.parts import PATIENCE_SECONDS


@dataclass(frozen=True)
class Frame:
    """A block of a stream, as it came; `data` is None in a block that only carries comments."""

    raw: str
    id: str | None = None
    event: str | None = None
    data: str | None = None
    retry: int | None = None
    comments: tuple[str, ...] = ()

    @classmethod
    def of(cls, raw: str) -> "Frame":
        """Parse a block strictly: only known fields, each at most once."""
        fields: dict[str, str] = {}
        comments: list[str] = []
        for line in raw.removesuffix("\n\n").split("\n"):
            name, colon, value = line.partition(":")
            assert colon, f"not a field: {line!r}"
            if not name:
                comments.append(value.removeprefix(" "))
                continue
            assert name in {"id", "event", "data", "retry"}, raw
            assert name not in fields, raw
            fields[name] = value.removeprefix(" ")
        retry = int(fields["retry"]) if "retry" in fields else None
        return cls(raw, fields.get("id"), fields.get("event"), fields.get("data"), retry, tuple(comments))

    @property
    def json(self) -> dict[str, Any]:
        """The event."""
        return json.loads(self.data or "")

    @property
    def seq(self) -> int:
        """The SEQ of its id."""
        return int((self.id or "").partition("-")[0])


class Stream:
    """A GET over a connection of its own, read as raw bytes: the chunks and their bounds are as the server sent them.

    `status` and `headers` (lower case) are there at once. Iterate over its frames until the server closes; or take
    `next`, `until`, `rest`, each with a deadline (TimeoutError). Use it in a `with`, or close it.
    """

    def __init__(self, port: int, target: str, headers: Mapping[str, str] | None = None) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
        self._bytes, self._text = b"", ""
        self.chunks: list[bytes] = []
        """Each HTTP chunk, as it came."""
        self.ended = False
        """The server has closed the answer."""
        lines = [
            f"GET {target} HTTP/1.1",
            "Host: test",
            *(f"{name}: {value}" for name, value in (headers or {}).items()),
        ]
        try:
            self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
            head = self._until(b"\r\n\r\n", time.monotonic() + PATIENCE_SECONDS).decode().split("\r\n")
        except BaseException:
            self._socket.close()
            raise
        self.status = int(head[0].split(" ")[1])
        pairs = (line.split(": ", 1) for line in head[1:] if line)
        self.headers = {name.lower(): value for name, value in pairs}
        self._chunked = self.headers.get("transfer-encoding") == "chunked"

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def reset(self) -> None:
        """Hang up as a process that is killed with unread bytes does: the server gets a RST and no goodbye."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def body(self, seconds: float = PATIENCE_SECONDS) -> bytes:
        """The whole body, of an answer that is no stream or that the server ends."""
        until = time.monotonic() + seconds
        if not self._chunked:
            return self._exactly(int(self.headers.get("content-length", "0")), until)
        while not self.ended:
            self._read_chunk(until)
        return b"".join(self.chunks)

    def next(self, seconds: float = PATIENCE_SECONDS) -> Frame | None:
        """The next frame or comment; None when the server has closed."""
        until = time.monotonic() + seconds
        while "\n\n" not in self._text:
            if self.ended:
                assert not self._text, f"the stream ends in the middle of a frame: {self._text!r}"
                return None
            self._text += self._read_chunk(until).decode()
        raw, _, self._text = self._text.partition("\n\n")
        return Frame.of(raw + "\n\n")

    def __iter__(self) -> Iterator[Frame]:
        while (frame := self.next()) is not None:
            yield frame

    def until(self, found: Callable[[Frame], bool], seconds: float = PATIENCE_SECONDS) -> Frame:
        """The first frame that is wanted; those before it are passed over."""
        deadline = time.monotonic() + seconds
        while True:
            frame = self.next(deadline - time.monotonic())
            assert frame is not None, "the server closed the stream before that"
            if found(frame):
                return frame

    def rest(self, seconds: float = PATIENCE_SECONDS) -> list[Frame]:
        """Every frame up to the server's close."""
        deadline = time.monotonic() + seconds
        return list(iter(lambda: self.next(deadline - time.monotonic()), None))

    def _read_chunk(self, until: float) -> bytes:
        size = int(self._until(b"\r\n", until), 16)
        chunk = self._exactly(size + 2, until)[:-2]
        if size:
            self.chunks.append(chunk)
        self.ended = not size
        return chunk

    def _until(self, mark: bytes, until: float) -> bytes:
        while mark not in self._bytes:
            self._receive(until)
        found, _, self._bytes = self._bytes.partition(mark)
        return found

    def _exactly(self, size: int, until: float) -> bytes:
        while len(self._bytes) < size:
            self._receive(until)
        found, self._bytes = self._bytes[:size], self._bytes[size:]
        return found

    def _receive(self, until: float) -> None:
        # A deadline that has passed still takes what is there.
        self._socket.settimeout(max(until - time.monotonic(), 0.001))
        got = self._socket.recv(1 << 16)
        if not got:
            raise ConnectionError("the server hung up in the middle of an answer")
        self._bytes += got
