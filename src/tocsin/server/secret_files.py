"""Secrets of the settings: from the environment, from a file of their own, or from the settings file, in this order."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from tocsin.server.settings import SettingsError

SECRET_BYTES_MAX = 16 << 10


def secret(setting: str, given: str, file: str, variable: str, environment: Mapping[str, str] = os.environ) -> str:
    """The secret, empty where there is none. Raises SettingsError for a file that cannot be read."""
    if variable in environment:
        return environment[variable].strip()
    return read(setting, file) if file else given


def read(setting: str, file: str) -> str:
    """The text of a secret's file, without white space around it. Raises SettingsError."""
    try:
        with Path(file).expanduser().open("rb") as opened:
            return opened.read(SECRET_BYTES_MAX).decode().strip()
    except OSError as error:
        raise SettingsError(f"setting {setting}: {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"setting {setting}: {file} is no text") from error


def open_to_others(file: str) -> bool:
    """Whether users other than the owner and his group may read it. False for one that is not there."""
    try:
        return bool(Path(file).expanduser().stat().st_mode & stat.S_IROTH)
    except OSError:
        return False
