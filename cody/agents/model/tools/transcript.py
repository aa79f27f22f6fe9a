"""What a command printed, as a model gets to see it: all of it, or its beginning and its end."""

from cody.agents.output import Tail


class Transcript:
    """Takes text as it comes; keeps its first `head` and last `tail` bytes, in whole characters."""

    def __init__(self, head: int, tail: int) -> None:
        self._room = head
        self._head = bytearray()
        self._tail = Tail(tail)
        self._size = 0

    def feed(self, text: str) -> None:
        """Add text."""
        data = text.encode()
        self._size += len(data)
        if self._room:
            begin = data[: self._room].decode(errors="ignore").encode()  # cut before a character, not in it
            self._head += begin
            # Once something did not fit, all that follows belongs to the tail, however small it is.
            self._room = self._room - len(begin) if len(begin) == len(data) else 0
            data = data[len(begin) :]
        self._tail.feed(data)

    def text(self) -> str:
        """The text, with a line in its middle if some of it is missing there."""
        head, tail = self._head.decode(), self._tail.text()
        missing = self._size - len(self._head) - len(tail.encode())
        if not missing:
            return head + tail
        return f"{head.removesuffix(chr(10))}\n[… {missing} bytes of output are left out here …]\n{tail}"
