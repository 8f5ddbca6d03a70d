"""resource_config.json: what scripts are told of their cluster, fetched before they run. Called by scripts.py.

It comes by itself, not with the order: of thousands of nodes it tells more than a frame of the link holds.
"""

import gzip
import zlib
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from tocsin.agent.download import NotStarted, Wanted, download
from tocsin.agent.settings import AgentSettings
from tocsin.model.link import RunScript

RESOURCE_CONFIG = Path("opt/ml/config/resource_config.json")
# A node takes 250 bytes of it: enough for more than any cluster has, and no harm to a small node's memory.
CONFIG_BYTES_MAX = 64 << 20


async def fetch_config(settings: AgentSettings, order: RunScript) -> None:
    """Have the file as it now is."""
    wanted = Wanted(path=order.resource_config_path, name="resource_config.json", bytes_max=CONFIG_BYTES_MAX)
    path = settings.directory / RESOURCE_CONFIG
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=settings.directory) as packed:
        await download(settings, wanted, packed)
        packed.seek(0)
        path.write_bytes(_unpacked(packed))


def _unpacked(packed: IO[bytes]) -> bytes:
    try:
        with gzip.GzipFile(fileobj=packed) as file:
            text = file.read(CONFIG_BYTES_MAX + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise NotStarted(f"the server's resource_config.json cannot be unpacked: {error}") from error
    if len(text) > CONFIG_BYTES_MAX:
        limit = f"{CONFIG_BYTES_MAX >> 20} MiB"
        raise NotStarted(f"resource_config.json unpacks to more than {limit}, the most that is taken")
    return text
