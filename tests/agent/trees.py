"""A made-up tree of /proc and /sys, what the checks read of it, and a GPU that is well."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.harness import WAIT_S
from tocsin.agent.checks.gpus import Gpu
from tocsin.model.health import Reading

GPU = {"bus": "00000000:B9:00.0", "temperature": 40, "slowdown": 90}

# What the library tells of a GPU that is well.
WELL = Gpu(
    bus="0000:b9:00",
    ecc_uncorrected=0,
    ecc_corrected=0,
    remap_failed=False,
    remap_pending=False,
    thermal_slowdown=False,
    power_brake=False,
    hw_slowdown=False,
    power_capped_percent=0,
    clock_percent=100,
    temperature_margin=50,
    nvlinks_down=0,
    pcie_lanes_missing=0,
    pcie_generations_missing=0,
)


def values(read: list[Reading]) -> dict[tuple[str, str], float]:
    return {(one.check, one.subject): one.value for one in read}


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(WAIT_S):
            await story()

    asyncio.run(main())


def tree(root: Path, **files: str) -> Path:
    """Files by their path, with __ for the slashes."""
    for name, text in files.items():
        place = root / name.replace("__", "/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return root
