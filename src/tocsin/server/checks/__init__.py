"""`tocsin config check`: everything that is missing or wrong in the settings, at once and without starting anything."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tocsin.server.checks.files import files
from tocsin.server.checks.finding import Finding, Level, error
from tocsin.server.checks.hosts import hosts
from tocsin.server.checks.names import names, variables
from tocsin.server.checks.online import online as reached
from tocsin.server.checks.outside import chat, mail
from tocsin.server.faults import load_catalogue
from tocsin.server.settings import Settings, SettingsError, load
from tocsin.targets.http import BadCertificates, certificates

__all__ = ["Finding", "Level", "check"]


def check(config: Path | None, environment: Mapping[str, str], *, online: bool) -> list[Finding]:
    """Errors first. `online` connects to what the settings name."""
    given: dict[str, Any] = {}
    if config is not None:
        try:
            given = tomllib.loads(config.read_text())
        except OSError as wrong:
            return [error(str(config), f"cannot be read: {wrong.strerror}")]
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
            return [error(str(config), f"is not valid TOML: {wrong}")]
    found = [*names(given), *variables(environment)]
    try:
        settings = load(config, {}, environment)
    except SettingsError as wrong:
        # Names and types are told already, each for itself.
        return _sorted([*found, *([] if any(one.level is Level.ERROR for one in found) else [_told(wrong)])])
    found += [*files(config, given, settings), *mail(given, settings), *chat(settings, environment), *hosts(settings)]
    found += _starts(settings)
    if online:
        found += reached(settings, environment)
    return _sorted(found)


def _starts(settings: Settings) -> list[Finding]:
    """What only the start itself would meet."""
    found = []
    try:
        load_catalogue(settings.health)
    except SettingsError as wrong:
        found.append(_told(wrong))
    try:
        certificates(settings.outside)
    except BadCertificates as wrong:
        found.append(error("outside.ca_file", str(wrong)))
    return found


def _told(wrong: SettingsError) -> Finding:
    """`fleet.x: …` and `host 0.0.0.0 can …` name their setting first."""
    setting, _, text = str(wrong).removeprefix("setting ").partition(" ")
    return error(setting.rstrip(":"), text)


def _sorted(found: list[Finding]) -> list[Finding]:
    return sorted(dict.fromkeys(found), key=lambda one: one.level is not Level.ERROR)
