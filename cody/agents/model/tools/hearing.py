"""Listens to a command: all of it is kept, some of it told as it comes, test runs recognised, a transcript made.

Unlike `cody.agents.listening` it takes no line for telemetry: a model's command may print anything, also the log of
another agent, and the model is to see it.
"""

import asyncio
from collections.abc import Mapping

from cody.agents.base import Sink
from cody.agents.model.tools.transcript import Transcript
from cody.agents.output import Decoder, Stream, Throttle
from cody.agents.pipes import Output
from cody.agents.recognise import Recogniser
from cody.agents.reports import Report

HEAD_BYTES = 12 * 1024
TAIL_BYTES = 20 * 1024
"""The end gets more: what went wrong stands there."""


class Hearing:
    """Both streams of one command. The throttles are the turn's: their limits hold for all of its commands together."""

    def __init__(self, sink: Sink, throttles: Mapping[Stream, Throttle]) -> None:
        self._sink = sink
        self._throttles = throttles
        self._recogniser = Recogniser()
        self.transcript = Transcript(HEAD_BYTES, TAIL_BYTES)

    async def listen(self, stream: Stream, output: Output) -> None:
        """Read a stream to its end."""
        throttle, decoder = self._throttles[stream], Decoder()
        while (chunk := await output.read(self._patience(throttle))) != b"":
            if chunk:
                self._sink.keep(chunk)
                self._text(stream, decoder.feed(chunk))
                await self._sink.ready()
            self._tell(self._recogniser.flush())
            while event := throttle.take():
                self._sink.emit("subprocess_output", event)
        self._text(stream, decoder.finish())
        self._tell(self._recogniser.finish(stream))
        await asyncio.sleep(throttle.wait_for_end())
        for event in throttle.finish():
            self._sink.emit("subprocess_output", event)

    def finish(self) -> None:
        """Both streams have ended."""
        self._tell(self._recogniser.flush(final=True))

    def _patience(self, throttle: Throttle) -> float | None:
        """How long to listen before something that waits is due."""
        waits = [wait for wait in (throttle.wait(), self._recogniser.wait()) if wait is not None]
        return min(waits) if waits else None

    def _text(self, stream: Stream, text: str) -> None:
        self.transcript.feed(text)
        self._throttles[stream].feed(text.encode())
        self._tell(self._recogniser.feed(stream, text))

    def _tell(self, reports: list[Report]) -> None:
        for report in reports:
            self._sink.emit(report.type, report.payload)
