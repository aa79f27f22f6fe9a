"""A Redis Cluster as one Redis: each command goes to the node that has its key, by a client of our own for each node.

Not redis-py's `RedisCluster`, which closes the connections of all nodes under whoever uses them when one slot has moved
often or is down, sends ASKING over another connection than the command, and fails where all connections are in use
instead of waiting (ADR 020).
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, cast

from redis.asyncio import Redis
from redis.commands import AsyncCoreCommands
from redis.exceptions import AskError, ClusterDownError, MovedError, ResponseError, TryAgainError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from cody.stream.cluster_url import Address
from cody.stream.node import RedisGone, raise_refusal
from cody.stream.slots import Slots, slot_of

_PAUSES_SECONDS = (0.0, 0.0, 0.0, 0.02, 0.05, 0.1, 0.2, 0.2)
"""Before each try of a command: a slot that has moved is found at once, one that is being moved takes its time."""
_LEARN_SECONDS = 1.0
"""How long a node may take to say which slots are whose, before another one is asked."""
_SCRIPTS = frozenset({"EVAL", "EVALSHA"})


class Cluster(AsyncCoreCommands):
    """A client for one event loop, for the commands that Cody sends: all of a command's keys are in one slot.

    What may pass by itself (a slot that moves, a node that fails over) is tried again for a second or so; then it is
    RedisGone, as everything else that says that a node is away. All that we send may be sent twice.
    """

    _is_async_client: Literal[True] = True
    _event_dispatcher: Any = None  # redis-py's commands declare it, and do not use it
    deadline_seconds = 5.0
    """Of a command with all its tries."""

    def __init__(self, seeds: Sequence[Address], connect: Callable[[Address], Redis]) -> None:
        self.slots = Slots.none()
        self._seeds = tuple(seeds)
        self._connect = connect
        self._nodes: dict[Address, Redis] = {}
        self._learning = asyncio.Lock()
        self._lessons = 0
        self._silent: set[Address] = set()

    def node(self, address: Address) -> Any:
        """The client of one node: a Redis, untyped as its commands are typed for sync and async at once."""
        found = self._nodes.get(address)
        if found is None:
            found = self._nodes[address] = self._connect(address)
        return found

    def owner(self, key: str) -> Address | None:
        """The node that has this key, as far as is known."""
        return self.slots.owner(slot_of(key))

    async def aclose(self) -> None:
        """Close all connections."""
        nodes, self._nodes = self._nodes, {}
        for node in nodes.values():
            await node.aclose()

    async def ping(self, **_: Any) -> bool:
        """Raise RedisGone unless every slot is served by a node that answers."""
        await self.learn()
        if self.slots.uncovered:
            raise RedisConnectionError(f"{self.slots.uncovered} slots are served by no node")
        async with asyncio.timeout(self.deadline_seconds):
            await asyncio.gather(*(self.node(address).ping() for address in self.slots.tags))
        return True

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """The answer of the node that has the command's (first) key."""
        try:
            async with asyncio.timeout(self.deadline_seconds):
                return await self._execute(slot_of(_key(args)), args, options)
        except TimeoutError as error:
            raise RedisTimeoutError(f"no answer to {args[0]} for {self.deadline_seconds:g} s") from error

    async def straight(self, *command: str | int | bytes) -> Any:
        """As a node's: of the node that is known to have the key, if one is, whatever it says."""
        owner = self.slots.owner(slot_of(_key(command)))
        if owner is None:
            raise RedisConnectionError("it is not known who has the slot")
        return await self.node(owner).straight(*command)

    async def _execute(self, slot: int, args: Sequence[Any], options: Mapping[str, Any]) -> Any:
        asking: Address | None = None
        reason: Exception | None = None
        for pause in _PAUSES_SECONDS:
            await asyncio.sleep(pause)
            owner = asking or await self._owner(slot)
            try:
                if asking:
                    return await self._ask(asking, args)
                return await self.node(owner).execute_command(*args, **options)
            except MovedError as error:
                asking, reason = None, error
                self.moved(error, owner)
            except AskError as error:
                asking, reason = address_in(error, owner), error
            except TryAgainError as error:
                reason = error
            except ClusterDownError as error:
                asking, reason = None, error
                await self.learn()
            except RedisGone:
                await self.learn()
                if asking is None and self.slots.owner(slot) in (None, owner):
                    raise  # and nobody has taken over
                asking = None
        raise RedisConnectionError(f"slot {slot} is not to be had: {reason}") from reason

    async def _owner(self, slot: int) -> Address:
        if self.slots.owner(slot) is None:
            await self.learn()
        owner = self.slots.owner(slot)
        if owner is None:
            raise RedisConnectionError(f"slot {slot} is served by no node")
        return owner

    async def _ask(self, address: Address, args: Sequence[Any]) -> Any:
        """Of a slot that is on its way to this node: it answers for it only right after ASKING."""
        both = self.node(address).pipeline(transaction=False)
        both.execute_command("ASKING")
        both.execute_command(*args)
        *_, answer = await both.execute(raise_on_error=False)
        if isinstance(answer, ResponseError):
            raise_refusal(answer)
            raise answer
        return answer

    def moved(self, error: MovedError, teller: Address) -> None:
        """Note where a slot has gone."""
        self.slots = self.slots.moved(error.slot_id, address_in(error, teller))

    async def learn(self) -> None:
        """Ask a node which slots are whose, or wait for whoever is just asking. Raises RedisGone if none answers."""
        before = self._lessons
        async with self._learning:
            if self._lessons != before:
                return
            for address in self._teachers():
                try:
                    async with asyncio.timeout(_LEARN_SECONDS):
                        reply = await self.node(address).execute_command("CLUSTER SLOTS")
                except (TimeoutError, *RedisGone):
                    self._silent.add(address)
                    continue
                except ResponseError as error:
                    raise RedisConnectionError(f"{address[0]}:{address[1]} is no node of a cluster: {error}") from error
                self._silent.discard(address)
                await self._learned(Slots.told(reply, address))
                return
            raise RedisConnectionError("no node of the cluster answers")

    def _teachers(self) -> list[Address]:
        """Whom to ask: each time another one first, as one that was cut off may be behind; silent ones come last."""
        nodes = list(dict.fromkeys((*self.slots.nodes, *self._seeds)))
        first = self._lessons % len(nodes)
        return sorted(nodes[first:] + nodes[:first], key=self._silent.__contains__)

    async def _learned(self, slots: Slots) -> None:
        self._lessons += 1
        if slots.owners != self.slots.owners:
            self.slots = slots
        for address in self._nodes.keys() - {*slots.nodes, *self._seeds}:
            await self._nodes.pop(address).aclose()


def _key(args: Sequence[Any]) -> Any:
    """The first of a command."""
    return args[3] if args[0] in _SCRIPTS else args[1]


def address_in(error: AskError, teller: Address) -> Address:
    """Where a redirection leads; without a host it is the host that said so."""
    host, port = cast("Address", error.node_addr)
    return host or teller[0], port
