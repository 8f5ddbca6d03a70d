"""The agents' links as they stand: who is connected, when each was heard. The NodeLinks port, without sockets."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

from msgspec.structs import replace

from tocsin.model.link import AnswerPeers, Hello, Order, RunDeepCheck, RunGpuReset, RunScript, ToAgent
from tocsin.model.machine import LinkSeen

# Orders waiting to be written to one agent. A node has a script and a few commands at a time; more means it is stuck.
ORDERS_QUEUED_MAX = 1000
PRUNED_BEYOND = 100


class Link:
    """One connection of one agent. `outgoing` is written to the socket by whoever holds it; `hello` opened it."""

    def __init__(self, hello: Hello) -> None:
        self.hello = hello
        self.outgoing: asyncio.Queue[ToAgent] = asyncio.Queue(maxsize=ORDERS_QUEUED_MAX)


class Links:
    """At most one link per node counts: the newest. An older connection is told nothing any more."""

    def __init__(self) -> None:
        self._seen: dict[str, LinkSeen] = {}
        self._live: dict[str, Link] = {}

    def seen(self) -> Mapping[str, LinkSeen]:
        return self._seen

    def hello(self, instance_id: str) -> Hello | None:
        """What the agent said of itself on its live connection."""
        link = self._live.get(instance_id)
        return link.hello if link else None

    def send(self, instance_id: str, order: Order) -> None:
        link = self._live.get(instance_id)
        if link is None or link.outgoing.full():
            return
        link.outgoing.put_nowait(order)
        if isinstance(order, RunScript | RunDeepCheck | RunGpuReset | AnswerPeers):
            seen = self._seen[instance_id]
            self._seen[instance_id] = replace(seen, ordered=seen.ordered | {order.work})

    def opened(self, instance_id: str, link: Link, now: datetime) -> None:
        self._live[instance_id] = link
        self._seen[instance_id] = LinkSeen(connected=True, since=now, heard=now, resets=link.hello.gpu_reset)

    def heard(self, instance_id: str, link: Link, now: datetime) -> None:
        if self._live.get(instance_id) is link:
            self._seen[instance_id] = replace(self._seen[instance_id], heard=now)

    def closed(self, instance_id: str, link: Link, now: datetime) -> bool:
        """Whether the node has no link any more: false when a newer connection took over."""
        if self._live.get(instance_id) is not link:
            return False
        del self._live[instance_id]
        self._seen[instance_id] = LinkSeen(connected=False, since=now, heard=self._seen[instance_id].heard)
        return True

    def prune(self, known: Callable[[str], bool]) -> None:
        """Forget the links of nodes that are gone, once there may be many of them."""
        if len(self._seen) <= 2 * len(self._live) + PRUNED_BEYOND:
            return
        gone = [key for key, seen in self._seen.items() if not seen.connected and not known(key)]
        for key in gone:
            del self._seen[key]
