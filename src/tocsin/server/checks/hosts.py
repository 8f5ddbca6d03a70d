"""The inventory of hosts: whether the start would take it, and whether its instance types are AWS's."""

from collections.abc import Iterator
from difflib import get_close_matches

from tocsin.doors.wire.model import Service
from tocsin.server.checks.finding import Finding, error, warning
from tocsin.server.inventory import load_inventory
from tocsin.server.settings import Settings, SettingsError

WHERE = "machines.inventory"


def hosts(settings: Settings) -> Iterator[Finding]:
    if settings.machines.provider != "hosts":
        return
    try:
        inventory = load_inventory(settings.machines.inventory)
    except SettingsError as wrong:
        yield error(WHERE, str(wrong))
        return
    if not inventory:
        yield warning(WHERE, "names no hosts: no instance can be had")
    known = Service("sagemaker").shapes["ClusterInstanceType"]["enum"]
    for host in inventory:
        if host.instance_type not in known:
            near = get_close_matches(host.instance_type, known, n=1)
            meant = f": did you mean {near[0]}?" if near else ""
            yield warning(WHERE, f"{host.name}: no group can have instances of type {host.instance_type}{meant}")
