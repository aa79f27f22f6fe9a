"""Turns what a command prints into events as it prints: telemetry, throttled text, test runs, token counts."""

from cody.agents.base import Job, Sink
from cody.agents.output import Decoder, Stream, Tail, Throttle
from cody.agents.pipes import Output
from cody.agents.recognise import Recogniser
from cody.agents.reports import Report
from cody.agents.telemetry import Piece, Splitter
from cody.contract.payloads import CompletionDetected, TokenUsage, UsageUpdate
from cody.contract.usage import Usage

MESSAGE_BYTES = 16 * 1024
ERROR_BYTES = 2 * 1024
_HEEDED = frozenset({"token_usage", "completion_detected", "test_run_started", "test_run_completed"})
"""Reports that say something about the turn too: looked for by name, as `isinstance` of a model is slow to say no."""


class Listening:
    """Both streams of one attempt. `usage` adds up what the agent reported, None if nothing."""

    def __init__(self, job: Job, sink: Sink) -> None:
        self._job = job
        self._sink = sink
        self._recogniser = Recogniser()
        self._last_words = Tail(MESSAGE_BYTES)
        self._last_errors = Tail(ERROR_BYTES)
        self.usage: Usage | None = None
        self.done = False

    async def listen(self, stream: Stream, output: Output) -> None:
        """Read a stream to its end. The agent waits for nobody but a sink that has no room for its telemetry."""
        ear = _Ear(stream, self._job)
        while (chunk := await output.read(self._patience(ear))) != b"":
            if chunk:
                self._sink.keep(chunk)
                self._hear(ear, ear.splitter.feed(chunk))
                await self._sink.ready()
            self._tell(self._recogniser.flush())
            while event := ear.throttle.take():
                self._sink.emit("subprocess_output", event)
        self._hear(ear, ear.splitter.finish())
        self._text(ear, ear.decoder.finish())
        self._tell(self._recogniser.finish(stream))
        for event in ear.throttle.finish():
            self._sink.emit("subprocess_output", event)

    def finish(self) -> None:
        """Both streams have ended."""
        self._tell(self._recogniser.flush(final=True))

    def last_words(self) -> str:
        """The last 16 KiB of stdout without telemetry, in whole characters."""
        return self._last_words.text()

    def stderr_tail(self) -> str:
        """The last of stderr, in whole characters."""
        return self._last_errors.text()

    def _patience(self, ear: "_Ear") -> float | None:
        """How long to listen before something that waits is due."""
        waits = [wait for wait in (ear.throttle.wait(), self._recogniser.wait()) if wait is not None]
        return min(waits) if waits else None

    def _hear(self, ear: "_Ear", pieces: list[Piece]) -> None:
        for piece in pieces:
            if isinstance(piece, bytes):
                self._text(ear, ear.decoder.feed(piece))
                continue
            self._sink.emit(piece.type, piece.payload)
            if piece.type in _HEEDED:
                self._heed(piece)

    def _text(self, ear: "_Ear", text: str) -> None:
        data = text.encode()
        ear.throttle.feed(data)
        (self._last_words if ear.stream == "stdout" else self._last_errors).feed(data)
        self._tell(self._recogniser.feed(ear.stream, text))

    def _heed(self, report: Report) -> None:
        self._recogniser.reported(report)
        if isinstance(report.payload, TokenUsage):
            self.usage = _added(self.usage or Usage(), report.payload)
            self._sink.emit("usage_update", UsageUpdate(response_id=self._job.response_id, usage=self.usage))
        elif isinstance(report.payload, CompletionDetected):
            self.done |= report.payload.source == "agent"

    def _tell(self, reports: list[Report]) -> None:
        for report in reports:
            self._sink.emit(report.type, report.payload)


class _Ear:
    """What belongs to one stream."""

    def __init__(self, stream: Stream, job: Job) -> None:
        self.stream: Stream = stream
        self.splitter = Splitter(job.working_dir)
        self.decoder = Decoder()
        self.throttle = Throttle(stream, job.limits)


def _added(total: Usage, more: TokenUsage) -> Usage:
    return Usage(
        prompt_tokens=total.prompt_tokens + more.prompt_tokens,
        completion_tokens=total.completion_tokens + more.completion_tokens,
        total_tokens=total.total_tokens + more.total_tokens,
    )
