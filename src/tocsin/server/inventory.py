"""The inventory: a TOML file of the hosts that may be instances."""

import tomllib
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
    names = [host.name for host in found]
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise SettingsError(f"{path}: names hosts twice: {', '.join(twins)}")
    return found
