"""A run's events as a person wants to read them: the agent's words as they come, and a line for what matters."""

from pydantic import ValidationError
from rich.console import Console

from cody.cli.phrases import clean, count, duration, joined, one_line, tests
from cody.cli.sse import Frame
from cody.cli.terminal import Page
from cody.cli.turn_view import TurnView
from cody.contract import items as i
from cody.contract import payloads as p
from cody.contract.errors import CursorProblem
from cody.contract.events import TERMINAL, Event, parse

DIM, GOOD, BAD, NOTE, HEAD = "dim", "green", "red", "yellow", "bold cyan"

_CHANGES = {
    "run_queued": "queued",
    "run_started": "started",
    "run_pausing": "pausing",
    "run_paused": "paused",
    "run_resumed": "resumed",
    "run_cancelling": "cancelling",
}

_SOURCES = {"pattern": "the log", "stop_file": "the stop file", "agent": "the agent"}


class Renderer:
    """Shows the entries of one run; `terminal` is its last event once that has come.

    `cody` is how a person calls it here, for hints that can be pasted.
    """

    def __init__(self, console: Console, cody: str = "cody") -> None:
        self.terminal: Event[p.Payload] | None = None
        self._cody = cody
        self._page = Page(console)
        self._turn = TurnView()

    def begin(self, agent: str) -> None:
        """Know the kind of agent before its first entry."""
        self._turn.speaks_on_stdout = agent == "command"

    def show(self, frame: Frame) -> None:
        """Show an entry. A type that a newer service has and this client does not know is passed over."""
        try:
            event = parse(frame.type, frame.data)
        except KeyError:
            return
        except ValidationError as error:
            self._page.line(
                f"  an event at {frame.cursor} cannot be read ({count(error.error_count(), 'fault')})", NOTE
            )
            return
        if event.type in TERMINAL:
            self._page.finish()
            self.terminal = event
        elif event.type in _CHANGES:
            self._run_changed(event)
        else:
            _ = self._turn_goes_on(event) or self._agent_speaks(event) or self._work_happens(event)

    def reset(self, problem: CursorProblem) -> None:
        """Say that entries are missing, or that the log is not the one that was read so far."""
        self._page.line(f"{problem.detail} Going on from {problem.earliest_cursor or 'the beginning'}.", NOTE)

    def note(self, text: str, style: str = DIM) -> None:
        """A line of our own between the run's."""
        self._page.line(text, style)

    def _run_changed(self, event: Event[p.Payload]) -> None:
        word = _CHANGES[event.type]
        reason = event.payload.reason if isinstance(event.payload, p.RunChanged) else None
        hint = f"go on with: {self._cody} resume {event.run_id}" if word == "paused" else None
        if word != "queued":
            self._page.line(joined(word + (f" ({one_line(reason)})" if reason else ""), hint), DIM)

    def _turn_goes_on(self, event: Event[p.Payload]) -> bool:
        view, name = self._turn, f"turn {event.turn}"
        match event.payload:
            case p.TurnStarted() as started:
                self._turn = TurnView(event.turn, event.timestamp, speaks_on_stdout=started.agent == "command")
                again = f"attempt {event.attempt}, in place of what was said before" if event.attempt > 1 else None
                self._page.line(joined(f"Turn {event.turn}", again, started.agent, started.model), HEAD)
            case p.TurnCompleted() as completed:
                view.tally = view.tally.so_far(completed.usage)
                self._page.line("  " + joined(f"{name} done", view.summary(event.timestamp)), GOOD)
            case p.TurnFailed() as failed:
                error, further = failed.error, "will be tried again" if failed.will_retry else None
                why = f"{name} failed: {one_line(error.message, 300)} ({error.code})"
                self._page.line("  " + joined(why, view.summary(event.timestamp), further), BAD)
            case p.TurnAborted() as aborted:
                why = f"{name} interrupted ({one_line(aborted.reason)})"
                self._page.line("  " + joined(why, view.summary(event.timestamp)), NOTE)
            case p.TokenUsage() as more:
                view.tally = view.tally.plus(more)
            case p.UsageUpdate() as update:
                view.tally = view.tally.so_far(update.usage)
            case _:
                return False
        return True

    def _agent_speaks(self, event: Event[p.Payload]) -> bool:
        match event.payload:
            case p.SubprocessOutput() as output:
                if output.omitted_bytes:
                    self._page.line(f"  … {count(output.omitted_bytes, 'byte')} of {output.stream} not shown", DIM)
                self._page.piece(output.stream, output.text, DIM if output.stream == "stderr" else "")
            case p.ResponseStart() as start:
                self._turn.speaks_on_stdout |= start.provider_id == "command"
            case p.ItemStart() as start:
                self._item_started(start)
            case p.ItemDelta() as delta:
                if delta.item_id in self._turn.heard:
                    self._page.piece(delta.item_id, delta.delta_content, self._turn.heard[delta.item_id])
            case p.ItemDone() as done:
                self._item_done(done)
            case p.ItemFailed() as failed:
                self._page.line(f"  {one_line(failed.error.message, 300)} ({failed.error.code})", BAD)
            case _:
                return False
        return True

    def _item_started(self, start: p.ItemStart) -> None:
        """Text is shown as it comes; a `command` agent's is its stdout, which was shown already."""
        if start.item_type in ("message", "reasoning") and not self._turn.speaks_on_stdout:
            style = DIM if start.item_type == "reasoning" else ""
            self._turn.heard[start.item_id] = style
            self._page.piece(start.item_id, start.initial_content or "", style)

    def _item_done(self, done: p.ItemDone) -> None:
        match done.final_item:
            case i.MessageItem(content=text) | i.ReasoningItem(content=text):
                if done.item_id not in self._turn.heard and not self._turn.speaks_on_stdout:
                    self._page.piece(done.item_id, text, DIM if done.final_item.type == "reasoning" else "")
                self._page.finish()
            case i.FunctionCallItem() as call:
                self._page.line(f"  → {call.name} {one_line(call.arguments)}", DIM)
            case i.FunctionCallOutputItem() as output:
                self._answered(output)
            case i.ScriptExecutionItem() as script:
                self._page.line(f"  $ {one_line(script.code)}", DIM)
            case i.ScriptExecutionOutputItem() as output:
                if not output.success:
                    self._page.line(f"  ← failed: {one_line(output.error or output.result)}", NOTE)
            case i.ErrorItem() as error:
                self._page.line(f"  {one_line(error.message, 300)} ({error.code})", BAD)
            case i.CancelledItem():
                self._page.finish()

    def _answered(self, output: i.FunctionCallOutputItem) -> None:
        """A tool's answer by its first line, and how much more there is."""
        first, *more = [line for line in clean(output.output).splitlines() if line.strip()] or ["(nothing)"]
        failed = "" if output.success else "failed: "
        further = f"{len(more):,} more" if more else None
        self._page.line(joined(f"  ← {failed}{one_line(first)}", further), DIM if output.success else NOTE)

    def _work_happens(self, event: Event[p.Payload]) -> bool:
        match event.payload:
            case p.FileRead() | p.FileWritten() | p.FileDeleted() as file:
                self._file(file)
            case p.LogUpdated() as log:
                last = next((line for line in reversed(log.delta.tail) if line.strip()), "")
                added = f"  {clean(log.path)} +{count(log.delta.added_lines, 'line')}"
                self._page.line(added + (f": {one_line(last)}" if last else ""), "blue")
            case p.TestRunStarted() as run:
                # Where stdout is shown, the tests speak for themselves, and this would break into their line.
                if not self._turn.speaks_on_stdout:
                    self._page.line(f"  testing: {one_line(run.command)}", DIM)
            case p.TestRunCompleted() as result:
                self._turn.tests = result
                took = None if result.duration_ms is None else duration(result.duration_ms)
                self._page.line("  " + joined(f"tests: {tests(result)}", took), BAD if result.failed else GOOD)
            case p.CompletionDetected() as found:
                line = f": {one_line(found.line)}" if found.line else ""
                self._page.line(f"  goal met, says {_SOURCES[found.source]}{line}", GOOD)
            case p.Warned() as warning:
                self._page.line(f"  warning: {one_line(warning.message, 300)} ({warning.code})", NOTE)
            case p.LogGap() as gap:
                self._page.line(f"  entries {gap.from_} to {gap.to} of the log are lost for good", NOTE)
            case _:
                return False
        return True

    def _file(self, file: p.FileRead | p.FileWritten | p.FileDeleted) -> None:
        verb = {p.FileRead: "read", p.FileWritten: "wrote", p.FileDeleted: "deleted"}[type(file)]
        if self._turn.file(verb, file.path):
            size = None if file.bytes is None else count(file.bytes, "byte")
            self._page.line("  " + joined(f"{verb} {clean(file.path)}", size), DIM if verb == "read" else "blue")
