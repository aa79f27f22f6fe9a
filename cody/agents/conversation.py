"""A conversation as text, for an agent that joins a thread and has no session of its own that knows it."""

from collections.abc import Sequence

from cody.contract.items import FunctionCallItem, Item, MessageItem
from cody.contract.responses import Response
from cody.contract.threads import Exchange

BEFORE = "=== THE CONVERSATION SO FAR ==="
NOW = "=== NOW ==="
MAX_CHARS = 100_000
"""Of the conversation; older turns are left out first."""
_MAX_CALL_CHARS = 300


def as_text(earlier: Sequence[Exchange]) -> str:
    """What to put before a prompt: all that was asked and answered in these turns, oldest first; "" for none.

    Of a turn it has the prompt, the messages and a line for each call of a tool, not the tools' output.
    """
    told: list[str] = []
    room = MAX_CHARS
    for number, exchange in reversed(list(enumerate(earlier, 1))):
        text = _told(number, exchange)
        room -= len(text)
        if room < 0:
            told.append(f"[{number} earlier {'turn is' if number == 1 else 'turns are'} left out]")
            break
        told.append(text)
    return "\n\n".join([BEFORE, *reversed(told), NOW, ""]) if told else ""


def _told(number: int, exchange: Exchange) -> str:
    response = exchange.response
    said = [_line(item) for item in response.output_items]
    lines = [f"## Turn {number}", f"User: {exchange.prompt.strip()}", *filter(None, said), *_end(response)]
    return "\n\n".join(lines)


def _line(item: Item) -> str | None:
    match item:
        case MessageItem(origin=origin, content=content) if content.strip():
            return f"{'User' if origin == 'user' else 'Agent'}: {content.strip()}"
        case FunctionCallItem(name=name, arguments=arguments):
            cut = arguments if len(arguments) <= _MAX_CALL_CHARS else arguments[:_MAX_CALL_CHARS] + "…"
            return f"[called {name} {cut}]"
        case _:
            return None


def _end(response: Response) -> list[str]:
    """How the turn ended, if it was not well."""
    if response.status == "error":
        return [f"[the turn failed: {response.error.message}]" if response.error else "[the turn failed]"]
    return ["[the turn was interrupted]"] if response.status == "aborted" else []
