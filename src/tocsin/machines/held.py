"""Machines whose boot is held back, or never comes: a provider around any other. The Machines port, twice.

A machine that is held counts as running, and nobody hears of it: like one that hangs in its firmware.
"""

import asyncio
import errno
from collections.abc import Callable, Iterator, Mapping

from msgspec.structs import replace

from tocsin.model.machine import NEVER_S, LaunchOrder, MachineState
from tocsin.ports import Machines


class HeldMachines:
    """`changed` tells the fleet that a machine is to be looked at again."""

    def __init__(self, inner: Machines, changed: Callable[[str], None]) -> None:
        self._inner = inner
        self._changed = changed
        self._held: dict[str, asyncio.TimerHandle | None] = {}
        self._released: set[str] = set()

    def seen(self) -> Mapping[str, MachineState]:
        return _Both(self._held, self._inner.seen()) if self._held else self._inner.seen()

    async def launch(self, order: LaunchOrder) -> str | None:
        instance_id = order.instance_id
        if instance_id in self._held:
            return None
        if order.boot_delay_s and instance_id not in self._released and instance_id not in self._inner.seen():
            self._held[instance_id] = self._timer(order)
            return None
        address = await self._inner.launch(replace(order, boot_delay_s=0.0))
        self._released.discard(instance_id)
        return address

    def _timer(self, order: LaunchOrder) -> asyncio.TimerHandle | None:
        if order.boot_delay_s == NEVER_S:
            return None
        return asyncio.get_running_loop().call_later(order.boot_delay_s, self._release, order.instance_id)

    def _release(self, instance_id: str) -> None:
        """Not there any more, for a moment: so the fleet launches it, and this time it boots."""
        del self._held[instance_id]
        self._released.add(instance_id)
        self._changed(instance_id)

    async def terminate(self, instance_id: str) -> None:
        self._released.discard(instance_id)
        if instance_id in self._held:
            timer = self._held.pop(instance_id)
            if timer:
                timer.cancel()
            self._changed(instance_id)
            return
        await self._inner.terminate(instance_id)

    async def reboot(self, instance_id: str) -> None:
        if instance_id in self._held:
            raise OSError(errno.ENODEV, f"cannot reboot '{instance_id}' now")
        await self._inner.reboot(instance_id)


class _Both(Mapping[str, MachineState]):
    """What the other provider sees, and the held ones as running."""

    def __init__(self, held: Mapping[str, object], inner: Mapping[str, MachineState]) -> None:
        self._held = held
        self._inner = inner

    def __getitem__(self, instance_id: str) -> MachineState:
        return MachineState.RUNNING if instance_id in self._held else self._inner[instance_id]

    def __iter__(self) -> Iterator[str]:
        return iter([*self._held, *self._inner])

    def __len__(self) -> int:
        return len(self._held) + len(self._inner)
