"""Faults put into nodes: recorded, ordered of the node's agent, listed, taken out. Our own API calls it.

An order that the agent does not hear is lost, and the record says until when it would have held: it is a test's tool.
"""

from collections.abc import Callable

from tocsin.core.commit import World
from tocsin.core.tell import line
from tocsin.model.changes import Delete, Put, Tell
from tocsin.model.cluster import Node
from tocsin.model.errors import Conflict, LimitExceeded, ResourceNotFound
from tocsin.model.injection import Injectable, Injection
from tocsin.model.link import Inject, TakeOut
from tocsin.model.names import Scope
from tocsin.model.story import Chapter
from tocsin.model.times import epoch_ms
from tocsin.ports import Clock, NodeLinks, Store

INJECTIONS_MAX = 100  # of one account in a region: more than that is a test that forgot to take them out


class Injections:
    """`new_id` makes the ids of injections."""

    def __init__(self, store: Store, links: NodeLinks, clock: Clock, new_id: Callable[[], str]) -> None:
        self._store = store
        self._links = links
        self._clock = clock
        self._new_id = new_id

    async def put_in(
        self, world: World, node: Node, what: Injectable, *, argument: str = "", part: str = "", for_s: float
    ) -> Injection:
        """Record it, then order it. Raises Conflict when the agent is not linked, LimitExceeded."""
        link = self._links.seen().get(node.instance_id)
        if link is None or not link.connected:
            raise Conflict(f"The agent of {node.instance_id} is not linked, so nothing can be put in.")
        known = await self.of(node.scope)
        if len(known) >= INJECTIONS_MAX:
            raise LimitExceeded(f"There are {INJECTIONS_MAX} faults put in already. Take some out.")
        now = self._clock.now()
        one = Injection(
            scope=node.scope,
            id=self._new_id(),
            instance_id=node.instance_id,
            cluster=world.cluster.name,
            node=node.name,
            what=what,
            argument=argument,
            part=part,
            created_ms=epoch_ms(now),
            until_ms=epoch_ms(now) + int(for_s * 1000),
        )
        words = " ".join(filter(None, ("fault put in:", what, argument, part)))
        told = line(world.cluster, now, Chapter.REQUEST, words, instance_id=node.instance_id)
        await self._store.commit(Put(one), Tell(told))
        self._links.send(node.instance_id, Inject(work=one.id, what=what, argument=argument, part=part, for_s=for_s))
        return one

    async def of(self, scope: Scope) -> list[Injection]:
        """Those whose time is not over, oldest first. The others are forgotten here."""
        now_ms = epoch_ms(self._clock.now())
        everything = await self._store.find(Injection, scope)
        over = [one for one in everything if one.until_ms <= now_ms]
        if over:
            await self._store.commit(*map(Delete, over))
        return sorted((one for one in everything if one.until_ms > now_ms), key=lambda one: (one.created_ms, one.id))

    async def take_out(self, scope: Scope, injection_id: str) -> list[Injection]:
        """One, or with "" all. Raises ResourceNotFound."""
        known = await self.of(scope)
        out = [one for one in known if injection_id in ("", one.id)]
        if injection_id and not out:
            raise ResourceNotFound(f"There is no fault {injection_id}.")
        if out:
            await self._store.commit(*map(Delete, out))
        for one in out:
            self._links.send(one.instance_id, TakeOut(work=one.id))
        return out
