"""A real fleet over simulated machines, without a server around it: for tests on virtual time, and for the bench."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

from tests.commands.desk import commands_over, extensions_over
from tests.faults.table import CATALOGUE
from tocsin.core.policy import FleetPolicy
from tocsin.doors.links import Links
from tocsin.doors.nodes import NodesDoor
from tocsin.machines.simulated import SimulatedSettings
from tocsin.model.link import Report
from tocsin.ports import Clock, Store
from tocsin.server.providers import SimulatedProvider, Surroundings
from tocsin.server.settings import Settings
from tocsin.services.clusters import Moved, unheard
from tocsin.services.fleet import Fleet
from tocsin.services.injections import Injections


def names() -> Callable[[], str]:
    """Names of faults that are put in, one after the other."""
    numbers = itertools.count(1)
    return lambda: f"fault-{next(numbers)}"


class NumberFleet:
    """Machines, fleet, and the door that takes what nodes report. `views` are what else the fleet looks at."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        simulated: SimulatedSettings,
        policy: FleetPolicy,
        moved: Moved = unheard,
        **views: Any,
    ) -> None:
        links = Links()
        around = Surroundings(
            endpoint="",
            links=links,
            store=store,
            clock=clock,
            changed=lambda instance_id: self.fleet.changed(instance_id),
            take=lambda instance_id, report: self._door.take(instance_id, report),
            heard_through=lambda instance_id: self.fleet.heard_through(instance_id),
            node=lambda instance_id: self.fleet.node(instance_id),
            new_id=str,
            catalogue=CATALOGUE,
        )
        self.store = store
        self.provider = SimulatedProvider(Settings(simulated=simulated), around)
        self.fleet = Fleet(
            store=store,
            machines=self.provider.machines,
            links=self.provider.links,
            clock=clock,
            policy=policy,
            secret=b"secret",
            catalogue=CATALOGUE,
            moved=moved,
            **views,
        )
        commands = commands_over(store, clock, self.fleet, self.provider.links)
        self.injections = Injections(store, self.provider.links, clock, names(), self.fleet.keep)
        self._door = NodesDoor(
            fleet=self.fleet,
            commands=commands,
            extensions=extensions_over(store, clock, self.fleet, self.provider.links, commands),
            injections=self.injections,
            links=links,
            store=store,
            clock=clock,
            beat_interval_s=1.0,
            catalogue=CATALOGUE,
        )

    async def take(self, instance_id: str, report: Report) -> None:
        """As if the node had reported it."""
        await self._door.take(instance_id, report)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.provider.start()
        await self.fleet.load()
        tasks = [asyncio.create_task(one) for one in (self.fleet.run(), *self.provider.loops)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.provider.close()
