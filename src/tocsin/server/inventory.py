"""The inventory: a TOML file of the hosts that may be instances."""

import tomllib
from collections import Counter
from pathlib import Path

import msgspec
from msgspec import Struct

from tocsin.model.host import InventoryHost
from tocsin.server.settings import SettingsError


class _Inventory(Struct, frozen=True, forbid_unknown_fields=True):
    host: list[InventoryHost] = []


def load_inventory(path: str) -> list[InventoryHost]:
    """Raises SettingsError: which file, and what is wrong with it."""
    if not path:
        raise SettingsError('machines.provider "hosts" needs machines.inventory, a file of hosts')
    try:
        found = msgspec.convert(tomllib.loads(Path(path).expanduser().read_text()), _Inventory).host
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise SettingsError(f"{path}: {error}") from error
    _demand_once([host.name for host in found], f"{path}: names hosts twice")
    _demand_once([host.address for host in found], f"{path}: has addresses twice")
    return found


def _demand_once(told: list[str], wrong: str) -> None:
    """Raises SettingsError for what is told of two hosts: nodes are told apart by it."""
    twins = sorted(one for one, count in Counter(told).items() if count > 1)
    if twins:
        raise SettingsError(f"{wrong}: {', '.join(twins)}")
