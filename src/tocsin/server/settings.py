"""Settings: defaults, then a TOML file, then TOCSIN_… variables, then the command line. docs/settings.md lists all."""

import math
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from tocsin.core.faults import HealthPolicy
from tocsin.core.policy import FleetPolicy
from tocsin.doors.events import EventsLimits
from tocsin.doors.identity import is_loopback
from tocsin.machines.simulated import SimulatedSettings
from tocsin.model.errors import TocsinError
from tocsin.server.chat_settings import ChatSettings
from tocsin.services.commands import CommandLimits
from tocsin.services.drains import DrainPolicy
from tocsin.services.housekeeping import HousekeepingLimits
from tocsin.services.outbox import OutboxLimits
from tocsin.services.topics import TopicsLimits
from tocsin.targets.http import OutsideSettings
from tocsin.targets.mail import MailSettings, complaint


class SettingsError(TocsinError):
    """A setting is wrong; the text names it and says what would be right."""


class MachinesSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where instances come from."""

    provider: Literal["local", "simulated", "hosts"] = "local"
    inventory: str = ""


# Test mode without a word about machines: they are simulated, and take no time.
TEST_MACHINES: dict[str, dict[str, Any]] = {"machines": {"provider": "simulated"}, "simulated": {"speed": 0}}


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set. The records are sub-tables of the TOML file."""

    host: str = "127.0.0.1"
    port: int = 4566
    data_dir: str = ".tocsin"
    account: str = "111122223333"
    region: str = "us-west-2"
    s3_root: str = ""  # empty: the folder s3 inside the data directory
    extensions_root: str = ""  # empty: the folder extensions inside the data directory
    extension_health_s: float = 60.0  # how often nodes ask an extension how it is
    detach_agents: bool = False
    test_mode: bool = False
    upstream: str = ""
    with_moto: bool = False
    public_url: str = ""  # where readers of messages reach this server; empty: the address it listens on
    open_metrics: bool = False  # whether /metrics needs no signature where there are access keys
    access_keys: dict[str, str] = field(default_factory=dict)  # access key id -> secret access key
    machines: MachinesSettings = field(default_factory=MachinesSettings)
    simulated: SimulatedSettings = field(default_factory=SimulatedSettings)
    fleet: FleetPolicy = field(default_factory=FleetPolicy)
    health: HealthPolicy = field(default_factory=HealthPolicy)
    slurm: DrainPolicy = field(default_factory=DrainPolicy)
    events: EventsLimits = field(default_factory=EventsLimits)
    outside: OutsideSettings = field(default_factory=OutsideSettings)
    outbox: OutboxLimits = field(default_factory=OutboxLimits)
    commands: CommandLimits = field(default_factory=CommandLimits)
    housekeeping: HousekeepingLimits = field(default_factory=HousekeepingLimits)
    topics: TopicsLimits = field(default_factory=TopicsLimits)
    chat: ChatSettings = field(default_factory=ChatSettings)
    mail: MailSettings = field(default_factory=MailSettings)

    @property
    def data(self) -> Path:
        return Path(self.data_dir).expanduser().resolve()

    @property
    def s3(self) -> Path:
        return Path(self.s3_root).expanduser().resolve() if self.s3_root else self.data / "s3"

    @property
    def extensions(self) -> Path:
        return Path(self.extensions_root).expanduser().resolve() if self.extensions_root else self.data / "extensions"

    def of_test(self, place: Path) -> "Settings":
        """The same for one world of test mode, whose state is in a place of its own. Buckets and extensions are common
        to all."""
        return replace(self, data_dir=str(place), s3_root=str(self.s3), extensions_root=str(self.extensions))


# What may come from the environment. The rest is too structured for a variable.
VARIABLES = {
    "TOCSIN_HOST": "host",
    "TOCSIN_PORT": "port",
    "TOCSIN_DATA_DIR": "data_dir",
    "TOCSIN_ACCOUNT": "account",
    "TOCSIN_REGION": "region",
    "TOCSIN_S3_ROOT": "s3_root",
    "TOCSIN_DETACH_AGENTS": "detach_agents",
    "TOCSIN_TEST_MODE": "test_mode",
    "TOCSIN_UPSTREAM": "upstream",
    "TOCSIN_WITH_MOTO": "with_moto",
    "TOCSIN_PUBLIC_URL": "public_url",
    "TOCSIN_MAIL_PASSWORD": "mail.password",
}


def load(config: Path | None, given: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings out of file, environment and what was given (None: not given). Raises SettingsError."""
    merged: dict[str, Any] = _read(config) if config else {}
    for variable, name in VARIABLES.items():
        if variable in environment:
            _put(merged, name, environment[variable])
    merged |= {name: value for name, value in given.items() if value is not None}
    try:
        settings = msgspec.convert(merged, Settings, strict=False)
        if settings.test_mode:
            settings = msgspec.convert({**TEST_MACHINES, **merged}, Settings, strict=False)
    except msgspec.ValidationError as error:
        wrong, _, where = str(error).partition(" - at `$")
        raise SettingsError(f"setting {where.strip('.`') or '?'}: {wrong}") from error
    _check(settings)
    _check_numbers(settings)
    return settings


def _put(tables: dict[str, Any], name: str, value: str) -> None:
    """A value at a dotted name."""
    *path, last = name.split(".")
    for part in path:
        inner = tables.get(part, {})
        if not isinstance(inner, dict):
            return  # the file says nonsense there, and is told so
        tables[part] = tables = dict(inner)
    tables[last] = value


def _read(config: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(config.read_text())
    except OSError as error:
        raise SettingsError(f"{config}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{config}: is not valid TOML: {error}") from error


def _check(settings: Settings) -> None:
    if not re.fullmatch(r"\d{12}", settings.account):
        raise SettingsError(f"account must be 12 digits, not {settings.account!r}")
    if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d", settings.region):
        raise SettingsError(f"region must look like us-west-2, not {settings.region!r}")
    if not 0 <= settings.port <= 65535:
        raise SettingsError(f"port must be 0 to 65535, not {settings.port}")
    if settings.upstream and settings.with_moto:
        raise SettingsError("upstream and with_moto name two servers for the same requests: choose one")
    if settings.upstream and not re.fullmatch(r"https?://[^/?#]+/?", settings.upstream):
        raise SettingsError(f"upstream must look like http://127.0.0.1:5000, not {settings.upstream!r}")
    loopback = settings.host == "localhost" or is_loopback(settings.host)
    if settings.test_mode and not loopback:
        raise SettingsError(f"test_mode wipes everything for whoever asks: bind to 127.0.0.1, not to {settings.host}")
    if settings.public_url and not re.fullmatch(r"https?://[^/\s]+(/[^\s?#]*)?", settings.public_url):
        raise SettingsError(f"public_url must look like https://tocsin.example.com, not {settings.public_url!r}")
    if wrong := complaint(settings.mail):
        raise SettingsError(wrong)
    if not settings.access_keys and not loopback:
        raise SettingsError(
            f"host {settings.host} can be reached from other machines, and without access_keys in the settings anybody "
            "there could run scripts here: set access_keys, or bind to 127.0.0.1"
        )


def _check_numbers(settings: Settings) -> None:
    for name, value in _numbers(settings, ""):
        if not 0 <= value < math.inf:
            raise SettingsError(f"{name} must be 0 or more, not {value}")
    if not settings.extension_health_s:
        raise SettingsError("extension_health_s must be above 0: nodes would ask without a pause")


def _numbers(table: Struct, prefix: str) -> Iterator[tuple[str, float]]:
    """Every number in the tables: none of them means anything below 0."""
    for one in msgspec.structs.fields(table):
        value, name = getattr(table, one.name), f"{prefix}{one.name}"
        if isinstance(value, Struct):
            yield from _numbers(value, f"{name}.")
        elif isinstance(value, int | float):
            yield name, value
