"""Machines that are real hosts: an instance is a host claimed from the pool, run by its own agent. The Machines port.

The fleet calls it; the hosts door says who is there and what each host runs. A host that does not answer counts as it
was last seen: whether its node lives is for the node's own link to tell.
"""

import asyncio
import errno
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from tocsin.core.commit import World
from tocsin.core.plan import NO_CAPACITY
from tocsin.core.tell import line
from tocsin.model.changes import Change, Tell
from tocsin.model.cluster import Health, Node
from tocsin.model.host import Host, HostState
from tocsin.model.hostlink import HostLaunch, HostOrder, HostReboot, HostSeen, HostTerminate, ToHost
from tocsin.model.machine import LaunchOrder, LaunchRefused, MachineState
from tocsin.model.story import Chapter
from tocsin.ports import Clock
from tocsin.services.hosts import Hosts

# Frames waiting to be written to one host: it is told of one instance at a time.
ORDERS_WAITING_MAX = 100


class HostMachines:
    """`node` finds an instance's node: why it ends, and whether it stands in for another, is on its record."""

    def __init__(
        self,
        hosts: Hosts,
        clock: Clock,
        node: Callable[[str], tuple[World, Node] | None],
        changed: Callable[[str], None],
    ) -> None:
        self._hosts = hosts
        self._clock = clock
        self._node = node
        self._changed = changed
        self._there: dict[str, asyncio.Queue[ToHost]] = {}  # by host: what is to be written to it
        self._reported: dict[str, Mapping[str, MachineState]] = {}
        self._ordered: dict[str, tuple[MachineState, int]] = {}  # by instance: what it is to become, by which order
        self._orders: Counter[str] = Counter()  # by host: given on its link
        self._seen = _Seen(self)

    # The Machines port.

    def seen(self) -> Mapping[str, MachineState]:
        return self._seen

    async def launch(self, order: LaunchOrder) -> str:
        """The host's address."""
        instance_id = order.instance_id
        host = await self._hosts.claim(
            instance_id,
            order.instance_type,
            self._there,
            replacement=self._replaces(instance_id),
            told=lambda name: self._story(instance_id, f"host {name} claimed"),
        )
        if host is None:
            raise LaunchRefused(NO_CAPACITY.format(instance_type=order.instance_type))
        if host.state is HostState.RELEASING:
            raise OSError(errno.EBUSY, f"{instance_id} is being terminated")
        if instance_id not in self._ordered and not self._runs(host):
            n = self._next(host)
            self._tell(host, HostLaunch(n=n, instance_id=instance_id, token=order.token), MachineState.RUNNING)
        known = self._hosts.inventory.get(host.name)
        return known.address if known else ""

    async def reboot(self, instance_id: str) -> None:
        host = self._hosts.of_instance(instance_id)
        if host is None or host.state is not HostState.CLAIMED:
            raise OSError(errno.ENODEV, f"cannot reboot '{instance_id}' now")
        if self._state(host) is not MachineState.REBOOTING:
            self._tell(host, HostReboot(n=self._next(host), instance_id=instance_id), MachineState.REBOOTING)

    async def terminate(self, instance_id: str) -> None:
        host = self._hosts.of_instance(instance_id)
        if host is None or host.state is HostState.RELEASING:
            return
        there = host.name in self._there
        faulty, why = self._fault(instance_id)
        found = self._node(instance_id)
        history = found[1].history if found else ()
        await self._hosts.release(host, faulty=faulty, why=why, there=there, history=history)
        self._ordered.pop(instance_id, None)
        if there:
            self._write(host.name, HostTerminate(n=self._next(host), instance_id=instance_id))
        else:
            self._changed(instance_id)

    # What the hosts door hears.

    def came(self, name: str) -> "asyncio.Queue[ToHost]":
        """The host is linked; what is put into the queue is to be written to it. A newer link takes over."""
        queue: asyncio.Queue[ToHost] = asyncio.Queue(ORDERS_WAITING_MAX)
        self._there[name] = queue
        self._orders[name] = 0
        host = self._hosts.host(name)
        if host and host.instance_id:
            self._ordered.pop(host.instance_id, None)  # whether it got that, it will tell
            self._changed(host.instance_id)
        return queue

    async def heard(self, name: str, seen: HostSeen) -> None:
        """All that runs on the host. What should not is ended, and what is wiped is released."""
        host = self._hosts.host(name)
        if host is None:
            return
        before = self._state(host) if host.instance_id else None
        self._reported[name] = seen.machines
        self._end_strays(host, seen)
        claim = host.instance_id
        if not claim:
            return
        _, n = self._ordered.get(claim, (None, 0))
        if seen.done >= n:
            self._ordered.pop(claim, None)
        if host.state is HostState.RELEASING and claim not in seen.machines:
            await self._hosts.wiped(name)
        if self.state_of(claim) is not before:
            self._changed(claim)

    def _end_strays(self, host: Host, seen: HostSeen) -> None:
        for instance_id, state in seen.machines.items():
            ending = instance_id != host.instance_id or host.state is HostState.RELEASING
            if ending and state is not MachineState.ENDING:
                self._write(host.name, HostTerminate(n=self._next(host), instance_id=instance_id))

    async def went(self, name: str, queue: "asyncio.Queue[ToHost]") -> None:
        """The host's link ended, unless a newer one took over."""
        if self._there.get(name) is not queue:
            return
        del self._there[name]
        host = self._hosts.host(name)
        await self._hosts.lost(name)
        if host and host.instance_id:
            self._ordered.pop(host.instance_id, None)
            self._changed(host.instance_id)

    def told(self, name: str) -> bool:
        """Whether the host has said what it runs since our start."""
        return name in self._reported

    def is_there(self, name: str) -> bool:
        return name in self._there

    # Inside.

    def state_of(self, instance_id: str) -> MachineState | None:
        host = self._hosts.of_instance(instance_id)
        return self._state(host) if host else None

    def instances(self) -> list[str]:
        return [one for one in self._hosts.instances() if self.state_of(one) is not None]

    def _state(self, host: Host) -> MachineState | None:
        """As it was ordered, else as it was reported; running as long as nothing was heard since the server's start."""
        if host.state is HostState.RELEASING:
            return MachineState.ENDING
        ordered, _ = self._ordered.get(host.instance_id, (None, 0))
        if ordered is not None or host.name not in self._reported:
            return ordered or MachineState.RUNNING
        return self._reported[host.name].get(host.instance_id)

    def _runs(self, host: Host) -> bool:
        return self._reported.get(host.name, {}).get(host.instance_id) is MachineState.RUNNING

    def _next(self, host: Host) -> int:
        self._orders[host.name] += 1
        return self._orders[host.name]

    def _tell(self, host: Host, frame: HostOrder, state: MachineState) -> None:
        if not self._write(host.name, frame):
            raise OSError(errno.EHOSTUNREACH, f"host {host.name} does not answer")
        self._ordered[host.instance_id] = (state, frame.n)

    def _write(self, name: str, frame: ToHost) -> bool:
        """False when it is not there, or takes nothing any more: it is told again when it says what it runs."""
        queue = self._there.get(name)
        if queue is None or queue.full():
            return False
        queue.put_nowait(frame)
        return True

    def _replaces(self, instance_id: str) -> bool:
        found = self._node(instance_id)
        return bool(found and found[1].replaces)

    def _fault(self, instance_id: str) -> tuple[bool, str]:
        """Whether the instance ends for a fault, or to be replaced; and why."""
        found = self._node(instance_id)
        if found is None:
            return False, ""
        node = found[1]
        faulty = node.health is Health.UNHEALTHY or node.repair is not None
        return faulty, f"{instance_id}: {node.fault or node.message or 'replaced'}"

    def _story(self, instance_id: str, what: str) -> list[Change]:
        found = self._node(instance_id)
        if found is None:
            return []
        cluster = found[0].cluster
        return [Tell(line(cluster, self._clock.now(), Chapter.DECISION, what, instance_id=instance_id))]


class _Seen(Mapping[str, MachineState]):
    """The machines as they are when they are asked for."""

    def __init__(self, machines: HostMachines) -> None:
        self._machines = machines

    def __getitem__(self, instance_id: str) -> MachineState:
        state = self._machines.state_of(instance_id)
        if state is None:
            raise KeyError(instance_id)
        return state

    def __iter__(self) -> Iterator[str]:
        return iter(self._machines.instances())

    def __len__(self) -> int:
        return len(self._machines.instances())
