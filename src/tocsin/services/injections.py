"""Faults put into nodes: recorded, ordered of the node's agent, confirmed or refused by it, listed, taken out.

Our own API calls it; the nodes door brings the agents' answers. An order that the agent does not hear is lost, and its
record, which nobody confirmed, says until when it would have held: it is a test's tool.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from tocsin.core.commit import World
from tocsin.core.tell import line
from tocsin.model.changes import Change, Delete, Put, Tell
from tocsin.model.cluster import Node
from tocsin.model.errors import Conflict, LimitExceeded, ResourceNotFound
from tocsin.model.injection import SILENCING, Injectable, Injection
from tocsin.model.link import Inject, Placed, TakeOut
from tocsin.model.names import Scope
from tocsin.model.records import successor
from tocsin.model.story import Chapter
from tocsin.model.times import epoch_ms
from tocsin.ports import Clock, NodeLinks, Store

INJECTIONS_MAX = 100  # of one account in a region: more than that is a test that forgot to take them out
ANSWER_LIMIT_S = 10.0  # for an agent to make a small disk, or an interface
LAST_WORDS_LIMIT_S = 1.0  # for one that says that it is about to fall silent, or that it will not

# Commits what a report leads to, with the report's number: (instance, number, changes).
Keep = Callable[..., Awaitable[bool]]


class Injections:
    """`new_id` makes the ids of injections, `keep` commits reports. `there` says whether an instance still is."""

    def __init__(
        self,
        store: Store,
        links: NodeLinks,
        clock: Clock,
        new_id: Callable[[], str],
        keep: Keep,
        there: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._store = store
        self._links = links
        self._clock = clock
        self._new_id = new_id
        self._keep = keep
        self._there = there
        self._asked: dict[str, asyncio.Future[Placed]] = {}  # by id: those whose answer somebody waits for

    async def put_in(
        self, world: World, node: Node, what: Injectable, *, argument: str = "", part: str = "", for_s: float
    ) -> Injection:
        """Record it, order it, and wait for the agent's answer. Raises Conflict when the agent is not linked, or
        refuses it; LimitExceeded."""
        link = self._links.seen().get(node.instance_id)
        if link is None or not link.connected:
            raise Conflict(f"The agent of {node.instance_id} is not linked, so nothing can be put in.")
        if len(await self.of(node.scope)) >= INJECTIONS_MAX:
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
        return await self._ordered(one, for_s)

    async def _ordered(self, one: Injection, for_s: float) -> Injection:
        order = Inject(work=one.id, what=one.what, argument=one.argument, part=one.part, for_s=for_s)
        answer = self._asked[one.id] = asyncio.get_running_loop().create_future()
        self._links.send(one.instance_id, order)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS_LIMIT_S if one.what in SILENCING else ANSWER_LIMIT_S):
                    await answer
        finally:
            self._asked.pop(one.id, None)
        if not answer.done() or answer.cancelled():
            return one
        if answer.result().outcome == "refused":
            raise Conflict(f"{one.node} does not take it in: {answer.result().detail}.")
        return replace(one, confirmed=True)

    async def heard(self, node: Node, report: Placed) -> None:
        """What became of a fault, as its agent says."""
        instance_id = node.instance_id
        known = await self._store.get(Injection, node.scope, report.work)
        changes: list[Change] = []
        if known is not None and known.instance_id == instance_id:
            confirmed = report.outcome == "in"
            changes.append(Put(successor(known, confirmed=True)) if confirmed else Delete(known))
        await self._keep(instance_id, report.n, *changes)
        waiting = self._asked.pop(report.work, None)
        if waiting and not waiting.done():
            waiting.set_result(report)

    async def of(self, scope: Scope) -> list[Injection]:
        """Those whose time is not over and whose node is there, oldest first. The others are forgotten here."""
        now_ms = epoch_ms(self._clock.now())
        everything = await self._store.find(Injection, scope)
        over = [one for one in everything if one.until_ms <= now_ms or not self._there(one.instance_id)]
        if over:
            await self._store.commit(*map(Delete, over))
        return sorted((one for one in everything if one not in over), key=lambda one: (one.created_ms, one.id))

    async def known(self, node: Node, injection_id: str) -> bool:
        """Whether a fault is in this node, as far as we know."""
        mine = (one.id for one in await self.of(node.scope) if one.instance_id == node.instance_id)
        return injection_id in mine

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
