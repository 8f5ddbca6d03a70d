"""Files and folders that the settings name: whether they can be used, and whether secrets are open to others."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tocsin.server.checks.finding import Finding, error, warning
from tocsin.server.secret_files import open_to_others
from tocsin.server.settings import Settings

# What holds a secret, by the last part of its name.
SECRETS = ("password", "token", "webhook")
READABLE = "others on this machine can read it: chmod 600 it"


def files(config: Path | None, given: Mapping[str, Any], settings: Settings) -> Iterator[Finding]:
    if config is not None and _secret(given) and open_to_others(str(config)):
        yield warning(str(config), f"holds secrets, and {READABLE}")
    for name, path in _named(given, ""):
        yield from _named_file(name, path)
    data = settings.data
    if data.exists() and not (data.is_dir() and os.access(data, os.W_OK | os.X_OK)):
        yield error("data_dir", f"{data} is no folder that can be written to")
    if settings.s3_root and not settings.s3.is_dir():
        yield warning("s3_root", f"{settings.s3} is not there: it will be made, without any bucket")


def _secret(given: Mapping[str, Any]) -> bool:
    """Whether a settings file holds a secret itself."""
    if given.get("access_keys"):
        return True
    return any(
        _secret(value) if isinstance(value, dict) else name in SECRETS and bool(value)
        for name, value in given.items()
        if name != "access_keys"
    )


def _named(given: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    """Every setting whose name ends in `_file`, and every `@file` of `chat.apprise`."""
    for name, value in given.items():
        where = f"{prefix}{name}"
        if isinstance(value, dict):
            yield from _named(value, f"{where}.")
        elif name.endswith("_file") and isinstance(value, str) and value:
            yield where, value
        elif prefix == "chat.apprise." and isinstance(value, list):
            yield from ((where, entry[1:]) for entry in value if isinstance(entry, str) and entry.startswith("@"))


def _named_file(name: str, path: str) -> Iterator[Finding]:
    try:
        with Path(path).expanduser().open("rb") as file:
            empty = not file.read(1)
    except OSError as wrong:
        yield error(name, f"{path} cannot be read: {wrong.strerror}")
        return
    if empty:
        yield error(name, f"{path} is empty")
    if name != "outside.ca_file" and not name.endswith(".ca_file") and open_to_others(path):
        yield warning(name, f"{path} holds a secret, and {READABLE}")
