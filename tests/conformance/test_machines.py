"""The Machines port: what holds for every provider."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.conformance.yards import ONE, TWO, AnyYard, a_host_yard, a_number_yard, a_yard, launch
from tocsin.machines.held import HeldMachines
from tocsin.model.machine import NEVER_S, LaunchOrder, MachineState
from tocsin.ports import Machines

YARDS: dict[str, Callable[[Path], AbstractAsyncContextManager[AnyYard]]] = {
    "local": a_yard,
    "simulated": a_number_yard,
    "hosts": a_host_yard,
}


@pytest.fixture(params=list(YARDS))
def a_yard_of(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], AbstractAsyncContextManager[AnyYard]]:
    return lambda: YARDS[request.param](tmp_path)


AYard = Callable[[], AbstractAsyncContextManager[AnyYard]]


async def test_the_adapter_is_one(a_yard_of: AYard) -> None:
    async with a_yard_of() as yard:
        machines: Machines = yard.machines
        assert machines.seen() == {}


async def test_a_launched_machine_runs_and_launching_it_again_changes_nothing(a_yard_of: AYard) -> None:
    async with a_yard_of() as yard:
        await yard.boot()
        await yard.machines.launch(launch())
        await yard.boot(TWO)
        assert yard.machines.seen() == {ONE: MachineState.RUNNING, TWO: MachineState.RUNNING}
        assert yard.boots() == 1


async def test_many_who_launch_at_once_start_one_machine(a_yard_of: AYard) -> None:
    async with a_yard_of() as yard:
        await asyncio.gather(*(yard.machines.launch(launch()) for _ in range(10)))
        await yard.until(lambda: yard.boots() > 0)
        await yard.boot(TWO)
        assert yard.boots() == 1


async def test_a_machine_that_ends_by_itself_is_dead_and_told_at_once(a_yard_of: AYard) -> None:
    async with a_yard_of() as yard:
        await yard.boot()
        yard.kill()
        await yard.until(yard.is_(MachineState.DEAD))
        assert yard.changed == [ONE]


async def test_a_dead_machine_boots_again_with_what_it_stored(a_yard_of: AYard) -> None:
    async with a_yard_of() as yard:
        await yard.boot()
        yard.kill()
        await yard.until(yard.is_(MachineState.DEAD))
        await yard.boot()
        assert yard.machines.seen()[ONE] is MachineState.RUNNING
        assert yard.stored() == 2


async def test_a_rebooted_machine_boots_once_more_with_what_it_stored(a_yard_of: AYard) -> None:
    async with a_yard_of() as yard:
        await yard.boot()
        await yard.machines.reboot(ONE)
        await yard.machines.launch(launch())  # it comes by itself
        await yard.until(lambda: yard.boots() == 2)
        await yard.until(yard.is_(MachineState.RUNNING))
        assert yard.stored() == 2


async def test_a_dead_machine_comes_back_by_a_reboot(a_yard_of: AYard) -> None:
    async with a_yard_of() as yard:
        await yard.boot()
        yard.kill()
        await yard.until(yard.is_(MachineState.DEAD))
        await yard.machines.reboot(ONE)
        await yard.until(lambda: yard.boots() == 2)
        await yard.until(yard.is_(MachineState.RUNNING))


async def test_a_machine_that_is_terminated_while_it_reboots_vanishes(a_yard_of: AYard) -> None:
    async with a_yard_of() as yard:
        await yard.boot()
        await yard.machines.reboot(ONE)
        await yard.machines.terminate(ONE)
        await yard.until(yard.is_(None))
        assert yard.left() == 0


async def test_what_is_not_there_is_not_rebooted(a_yard_of: AYard) -> None:
    async with a_yard_of() as yard:
        with pytest.raises(OSError, match="cannot reboot"):
            await yard.machines.reboot(ONE)
        await yard.boot()
        await yard.machines.terminate(ONE)
        with pytest.raises(OSError, match="cannot reboot"):
            await yard.machines.reboot(ONE)


async def test_a_terminated_machine_vanishes_with_what_it_stored(a_yard_of: AYard) -> None:
    async with a_yard_of() as yard:
        await yard.boot()
        await asyncio.gather(*(yard.machines.terminate(ONE) for _ in range(3)))
        assert yard.machines.seen()[ONE] is MachineState.ENDING
        with pytest.raises(OSError, match="being terminated"):
            await yard.machines.launch(launch())
        await yard.until(yard.is_(None))
        assert yard.changed == [ONE]
        assert yard.left() == 0


async def test_a_dead_machine_can_be_terminated(a_yard_of: AYard) -> None:
    async with a_yard_of() as yard:
        await yard.boot()
        yard.kill()
        await yard.until(yard.is_(MachineState.DEAD))
        await yard.machines.terminate(ONE)
        await yard.until(yard.is_(None))
        assert yard.left() == 0


async def test_terminating_what_is_not_there_does_nothing(a_yard_of: AYard) -> None:
    async with a_yard_of() as yard:
        await yard.machines.terminate(ONE)
        assert yard.machines.seen() == {}
        assert yard.changed == []


async def test_machines_put_to_rest_are_stopped_and_boot_again(a_yard_of: AYard) -> None:
    async with a_yard_of() as yard:
        await yard.boot()
        await yard.rest()
        assert await yard.next_provider() == {ONE: MachineState.STOPPED}
        await yard.boot()
        assert yard.machines.seen() == {ONE: MachineState.RUNNING}
        assert yard.stored() == 2


def order(delay_s: float, instance_id: str = ONE) -> LaunchOrder:
    return replace(launch(instance_id), boot_delay_s=delay_s)


async def test_a_boot_that_is_held_back_counts_as_running_and_comes_once_it_is_ordered_again(a_yard_of: AYard) -> None:
    async with a_yard_of() as yard:
        released = asyncio.Event()
        held = HeldMachines(yard.machines, lambda _: released.set())
        await held.launch(order(0.01))
        assert dict(held.seen()) == {ONE: MachineState.RUNNING}
        assert yard.boots() == 0
        await released.wait()
        assert dict(held.seen()) == {}
        await held.launch(order(0.01))
        await yard.until(lambda: yard.boots() == 1)


async def test_a_boot_that_never_comes_can_be_terminated(a_yard_of: AYard) -> None:
    async with a_yard_of() as yard:
        told: list[str] = []
        held = HeldMachines(yard.machines, told.append)
        await held.launch(order(NEVER_S))
        await held.launch(order(0, TWO))
        assert dict(held.seen()) == {ONE: MachineState.RUNNING, TWO: MachineState.RUNNING}
        await held.terminate(ONE)
        assert told == [ONE]
        assert list(held.seen()) == [TWO]
