"""Extensions that can be installed: folders `<root>/<name>/<version>` with `install.sh`, and where they are
needed `remove.sh`, `health.sh` and `defaults.json`.

The Extensions port. A version is read when it is asked for, so that one can be added while the server runs.
"""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

from tocsin.core.extensions.requests import number
from tocsin.model.errors import Validation
from tocsin.model.extension import Package

# As botocore has them: what is no name is no folder of ours either.
_NAME = re.compile(r"[a-z]([a-z0-9]|-[a-z0-9])*")
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")
# A script goes to each node in a frame of its link. What is larger belongs where the script fetches it from.
SCRIPT_BYTES_MAX = 64 << 10


class ExtensionFolders:
    def __init__(self, root: Path) -> None:
        self._root = root

    async def versions(self, name: str) -> list[str]:
        """The highest first; none where there is no such extension."""
        return await asyncio.to_thread(self._versions, name)

    async def package(self, name: str, version: str) -> Package | None:
        """Raises Validation where what is there cannot be read."""
        return await asyncio.to_thread(self._package, name, version)

    def _versions(self, name: str) -> list[str]:
        folder = self._root / name
        if not _NAME.fullmatch(name) or not folder.is_dir():
            return []
        found = [
            one.name for one in folder.iterdir() if _VERSION.fullmatch(one.name) and (one / "install.sh").is_file()
        ]
        return sorted(found, key=number, reverse=True)

    def _package(self, name: str, version: str) -> Package | None:
        if version not in self._versions(name):
            return None
        folder = self._root / name / version
        try:
            return Package(
                name=name,
                version=version,
                defaults=_defaults(folder / "defaults.json"),
                install=_installing(folder / "install.sh"),
                remove=_script(folder / "remove.sh"),
                health=_script(folder / "health.sh"),
            )
        except (OSError, ValueError) as error:
            raise Validation(f"Extension {name} {version} cannot be read on the server: {error}") from error


def _installing(path: Path) -> str:
    text = _script(path)
    if not text:
        raise ValueError(f"{path.name} is empty")
    return text


def _script(path: Path) -> str:
    """Empty where there is none."""
    if not path.is_file():
        return ""
    if path.stat().st_size > SCRIPT_BYTES_MAX:
        raise ValueError(f"{path.name} is larger than {SCRIPT_BYTES_MAX} bytes")
    return path.read_text()


def _defaults(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    found = json.loads(path.read_text())
    if not isinstance(found, dict):
        raise ValueError(f"{path.name} is no JSON object")
    return found
