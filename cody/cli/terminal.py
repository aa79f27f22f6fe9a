"""Lines and unfinished lines in a terminal: several speakers, of whom each may stop in the middle of a line."""

from rich.console import Console
from rich.text import Text

from cody.cli.phrases import clean


class Page:
    """Writes whole lines, and text that arrives in pieces; a new speaker always begins on a line of its own."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._speaker: str | None = None
        """Whose line is unfinished."""

    def line(self, text: str, style: str = "") -> None:
        """A whole line."""
        self.finish()
        self._write(text, style, "\n")

    def piece(self, speaker: str, text: str, style: str = "") -> None:
        """More text of a speaker, shown behind a bar; its last line stays open for the next piece."""
        if self._speaker not in (None, speaker):
            self.finish()
        first, *more = clean(text).split("\n")
        self._continue(speaker, first, style)
        for line in more:
            # A line feed ends a line; the next one is opened when there is something to say on it.
            if self._speaker is None:
                self._write("  │", "dim", "")
            self._write("", style, "\n")
            self._speaker = None
            self._continue(speaker, line, style)

    def finish(self) -> None:
        """End the line that is open, if one is."""
        if self._speaker is not None:
            self._write("", "", "\n")
        self._speaker = None

    def _continue(self, speaker: str, text: str, style: str) -> None:
        if not text:
            return
        if self._speaker is None:
            self._write("  │ ", "dim", "")
            self._speaker = speaker
        self._write(text, style, "")

    def _write(self, text: str, style: str, end: str) -> None:
        # Soft wrap: the terminal breaks long lines, so that a pipe and a search see them whole.
        self._console.print(Text(text, style=style), end=end, soft_wrap=True, highlight=False)
