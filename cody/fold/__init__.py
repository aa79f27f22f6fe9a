"""The reducer: a run's log entries in, its responses out. Pure: no I/O, no clock.

The projector and the client run this same code, so what is persisted and what is hydrated are equal. `Folder` is one
turn of a run, `RunFolder` a whole run. `reading` ← `state` ← `slots` ← `draft` ← `turn` ← `run`.

What the contract leaves open is decided like this:

- A cursor is compared by its SEQ. An entry of another turn leaves a Folder as it was; one of its own turn moves its
  cursor, also when it says nothing about the response. `updated_at` moves only with the document.
- Any event of a newer attempt supersedes the older ones, so a lost `turn_started` does no harm. The response keeps its
  id and its first `created_at`, and says `in_progress` again.
- The first break of the order in an attempt is final for it: `status` and `error` stay `stream_sequence_error` until a
  newer attempt starts over. The event that broke it changes nothing else, and what follows is folded as usual.
- `response_done` or the attempt's end closes the response; an item event after that is a break, a `usage_update` is not
  (agents count late). `response_error` sets the status for good but leaves items to be finished.
- The attempt's end settles a response that nobody finished: `complete`, `error` with the turn's error, or `aborted`.
- `item_error` puts an error item, `item_cancelled` a cancelled item, in the place and with the id of the item.
- A script's output is an item of its own (`output_id_of`), placed where it came.
"""

from cody.fold.reading import PoisonEvent
from cody.fold.run import RunFolder
from cody.fold.slots import output_id_of, text_of, with_text
from cody.fold.state import AttemptEnd, Changes, Checkpoint, Piece, Tally, Tokens
from cody.fold.turn import Folder

__all__ = [
    "AttemptEnd",
    "Changes",
    "Checkpoint",
    "Folder",
    "Piece",
    "PoisonEvent",
    "RunFolder",
    "Tally",
    "Tokens",
    "output_id_of",
    "text_of",
    "with_text",
]
