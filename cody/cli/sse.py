"""Frames of `text/event-stream` out of bytes that arrive in any pieces (WHATWG HTML, section 9.2.6)."""

from typing import NamedTuple


class Frame(NamedTuple):
    """One frame with data. For Cody: the cursor, the event's type, and the event's JSON as it was sent."""

    cursor: str
    type: str
    data: str


class FrameParser:
    """Splits a byte stream into frames; comments and frames without data vanish, as the standard says."""

    def __init__(self) -> None:
        self.retry_seconds: float | None = None
        """The pause before a reconnect that the server asked for, if it did."""
        self._rest = b""
        self._id = ""
        self._type = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[Frame]:
        """The frames that this chunk completes."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        frames: list[Frame] = []
        for line in lines:
            if line.strip(b"\r"):
                self._field(line.decode(errors="replace").removesuffix("\r"))
            elif self._data:
                frames.append(Frame(self._id, self._type or "message", "\n".join(self._data)))
                self._clear()
            else:
                self._clear()
        return frames

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "id":
                self._id = value
            case "event":
                self._type = value
            case "data":
                self._data.append(value)
            case "retry" if value.isdigit():
                self.retry_seconds = int(value) / 1000
            case _:
                pass  # a comment (no name), or a field that the standard says to ignore

    def _clear(self) -> None:
        self._type = ""
        self._data = []
