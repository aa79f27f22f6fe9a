"""Which node of a cluster has which slot, as far as is known."""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from cody.stream.cluster_url import Address


def slot_of(key: str | bytes) -> int:
    """The slot of a key, or of its hash tag."""
    return key_slot(key.encode() if isinstance(key, str) else key)


class Slots:
    """Slot → node that serves it; `nodes` are all that were told of, replicas too."""

    def __init__(self, owners: Sequence[Address | None], nodes: Sequence[Address] = ()) -> None:
        self.owners = tuple(owners)
        self.nodes = tuple(dict.fromkeys(nodes))
        self._tags: dict[Address, str] | None = None

    @classmethod
    def none(cls) -> "Slots":
        """Nothing is known yet."""
        return cls([None] * REDIS_CLUSTER_HASH_SLOTS)

    @classmethod
    def told(cls, reply: Sequence[Any], teller: Address) -> "Slots":
        """The answer to CLUSTER SLOTS: [first, last, [host, port, …] of the primary, …of its replicas] of each range.

        A node that does not know its own address leaves it out: it is where it was asked.
        """
        owners: list[Address | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        nodes: list[Address] = []
        for first, last, *serving in reply:
            found = [((node[0] or b"").decode() or teller[0], int(node[1])) for node in serving]
            owners[first : last + 1] = [found[0]] * (last + 1 - first)
            nodes += found
        return cls(owners, nodes)

    def owner(self, slot: int) -> Address | None:
        """The node that serves a slot; None if none is known to."""
        return self.owners[slot]

    def moved(self, slot: int, node: Address) -> "Slots":
        """The same but for one slot."""
        owners = list(self.owners)
        owners[slot] = node
        return Slots(owners, (*self.nodes, node))

    @property
    def uncovered(self) -> int:
        """How many slots nobody serves."""
        return self.owners.count(None)

    @property
    def tags(self) -> Mapping[Address, str]:
        """A hash tag for each node that serves slots, by which a key gets to it: there are keys that each node has."""
        if self._tags is None:
            missing, self._tags = {owner for owner in self.owners if owner}, {}
            for number in count():
                if not missing:
                    break
                owner = self.owners[slot_of(tag := str(number))]
                if owner and owner in missing:
                    missing.discard(owner)
                    self._tags[owner] = tag
        return self._tags

    def held(self, node: Address) -> int:
        """A number for the slots that a node serves: another one when it serves others."""
        return hash(tuple(slot for slot, owner in enumerate(self.owners) if owner == node))
