"""Failure domains as machine providers tell them: the label of a host, the rack of a simulated machine."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any, cast

from tests.faults.table import CATALOGUE
from tocsin.backends.sqlite import SqliteStore
from tocsin.core.faults import HealthPolicy
from tocsin.machines.simulated import SimulatedSettings
from tocsin.server.clock import SystemClock
from tocsin.server.kinds import KINDS
from tocsin.server.providers import HostsProvider, LocalProvider, SimulatedProvider, Surroundings
from tocsin.server.settings import MachinesSettings, Settings

INVENTORY = """
[[host]]
name = "gpu-01"
address = "127.0.0.1"
instance_type = "ml.p5.48xlarge"
labels = { rack = "r1", ultraserver = "u7" }

[[host]]
name = "gpu-02"
address = "127.0.0.2"
instance_type = "ml.g5.xlarge"
"""


def around(store: Any = None) -> Surroundings:
    unused = cast("Any", None)
    return Surroundings(
        endpoint="",
        links=unused,
        store=store,
        clock=SystemClock(),
        changed=unused,
        take=unused,
        heard_through=unused,
        node=unused,
        new_id=lambda: "token-1",
        catalogue=CATALOGUE,
    )


def test_a_host_is_in_the_domain_that_its_label_names(tmp_path: Path) -> None:
    (tmp_path / "hosts.toml").write_text(INVENTORY)
    machines = MachinesSettings(provider="hosts", inventory=str(tmp_path / "hosts.toml"))

    async def told(label: str) -> tuple[str, str, str]:
        store = await SqliteStore.open(tmp_path / label, KINDS)
        settings = Settings(machines=machines, health=HealthPolicy(domain_label=label))
        provider = HostsProvider(settings, around(store))
        pool = provider.hosts
        assert pool is not None
        _, token = await pool.create_token("", 60, once=False)
        for host, kind in (("gpu-01", "ml.p5.48xlarge"), ("gpu-02", "ml.g5.xlarge")):
            await pool.join(token, host)
            claimed = await pool.claim(f"i-{host}", kind, {host}, replacement=False, told=lambda _: [])
            assert claimed is not None
        found = tuple(provider.domain(f"i-{host}") for host in ("gpu-01", "gpu-02", "gone"))
        await store.close()
        return cast("tuple[str, str, str]", found)

    assert asyncio.run(told("rack")) == ("r1", "", "")
    assert asyncio.run(told("ultraserver")) == ("u7", "", "")


def racked(settings: Settings) -> SimulatedProvider:
    """One that does not run."""
    provider = SimulatedProvider(settings, around())
    for loop in provider.loops:
        loop.close()
    return provider


def test_simulated_machines_are_spread_over_their_racks_and_stay_where_they_are() -> None:
    settings = Settings(simulated=SimulatedSettings(racks=4))
    first, second = (racked(settings) for _ in range(2))
    names = [f"i-{number:017x}" for number in range(400)]
    counted = Counter(first.domain(name) for name in names)
    assert sorted(counted) == ["rack-1", "rack-2", "rack-3", "rack-4"]
    assert min(counted.values()) > 50
    assert [first.domain(name) for name in names] == [second.domain(name) for name in names]
    assert racked(Settings()).domain(names[0]) == ""


def test_nodes_that_are_processes_here_fail_together_with_nobody_in_particular(tmp_path: Path) -> None:
    assert LocalProvider(Settings(data_dir=str(tmp_path)), around()).domain("i-1") == ""
