"""What earlier attempts of a turn finished, read back from the log, so that the next one goes on from there.

A step is a whole answer of the model and the outputs of its calls. In the log an answer is whole when its
`usage_update` stands there, and a call has begun when the `item_start` of its output does; calls are run one after the
other, in the order of the answer. An attempt tells again what it goes on from before it asks for anything new. So of
two attempts the steps of one are the beginning of the other's, but for outputs: those are taken from whichever has
them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cody.agents.model.conversation import interrupted
from cody.agents.model.protocol import Kept
from cody.contract.events import Event
from cody.contract.items import FunctionCallItem, FunctionCallOutputItem
from cody.contract.payloads import ItemDone, ItemStart, Payload, UsageUpdate


@dataclass(frozen=True)
class Step:
    """An answer, and the outputs of the first of its calls; the calls behind those were never begun."""

    said: Sequence[Kept]
    outputs: Sequence[Kept] = ()

    @property
    def calls(self) -> Sequence[FunctionCallItem]:
        """The calls of the answer."""
        return [kept.item for kept in self.said if isinstance(kept.item, FunctionCallItem)]

    @property
    def unanswered(self) -> Sequence[FunctionCallItem]:
        """The calls that are still to be run."""
        return self.calls[len(self.outputs) :]


def finished_steps(events: Iterable[Event[Payload]]) -> list[Step]:
    """The steps of the attempt that came furthest, from the events of all attempts before this one.

    A call that any attempt began and none finished is answered `interrupted`.
    """
    attempts: dict[int, _Attempt] = {}
    for event in events:
        attempts.setdefault(event.attempt, _Attempt()).hear(event.payload)
    furthest = max(attempts.values(), key=lambda attempt: len(attempt.steps), default=_Attempt())
    return [
        Step(step.said, _outputs([other.steps[at] for other in attempts.values() if at < len(other.steps)]))
        for at, step in enumerate(furthest.steps)
    ]


@dataclass
class _Step:
    """A step as one attempt told it: `begun` are the ids of its outputs, with their calls', in order."""

    said: list[Kept]
    begun: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    done: dict[str, FunctionCallOutputItem] = field(default_factory=dict[str, FunctionCallOutputItem])


class _Attempt:
    """What one attempt told."""

    def __init__(self) -> None:
        self.steps: list[_Step] = []
        self._places: dict[str, int] = {}
        self._said: list[Kept] = []

    def hear(self, payload: Payload) -> None:
        """The attempt's next event."""
        match payload:
            case ItemStart(item_type="function_call_output", item_id=item_id, call_id=call_id) if self.steps:
                self.steps[-1].begun.append((item_id, call_id or ""))
            case ItemStart(item_id=item_id):
                self._places[item_id] = len(self._places)
            case ItemDone(final_item=FunctionCallOutputItem() as output) if self.steps:
                self.steps[-1].done[output.id] = output
            case ItemDone(final_item=item, replay=replay):
                self._said.append(Kept(item, replay))
            case UsageUpdate():
                said = sorted(self._said, key=lambda kept: self._places.get(kept.item.id, 0))
                self.steps.append(_Step(said))
                self._said = []
            case _:
                pass


def _outputs(told: Sequence[_Step]) -> list[Kept]:
    """The outputs of one step, from all attempts that told of it."""
    done = {item_id: output for step in told for item_id, output in step.done.items()}
    begun = max((step.begun for step in told), key=len)
    return [Kept(done.get(item_id) or interrupted(call_id, item_id)) for item_id, call_id in begun]
