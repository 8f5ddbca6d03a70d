"""Disks and mounts: how full, whether still writable, whether they answer. Reads /proc/self/mounts and statvfs."""

import asyncio
import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from tocsin.model.health import Reading

# File systems on disks of this node: asking them does not hang for somebody else's server.
LOCAL = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "overlay", "bcachefs"})
# Those of other machines: asked by a child that can be given up.
REMOTE = ("nfs", "nfs4", "lustre", "cifs", "smb3", "ceph", "gpfs", "beegfs", "fuse.")
PROBE_LIMIT_S = 5.0
KILLED_S = 0.5  # for the kernel to carry out SIGKILL
MOUNTS_MAX = 64  # looked at in one round; more are containers' layers


class Mount(Struct, frozen=True):
    device: str
    path: str
    kind: str
    writable: bool


def mounts(root: Path) -> list[Mount]:
    """What is mounted, each device once, as the kernel's table has it."""
    found: dict[str, Mount] = {}
    for line in (root / "proc/self/mounts").read_text().splitlines():
        device, path, kind, options, *_ = line.split(" ")
        mount = Mount(device, _unescaped(path), kind, "rw" in options.split(","))
        if kind in LOCAL or kind.startswith(REMOTE):
            found.setdefault(device if kind in LOCAL else mount.path, mount)
    return list(found.values())[:MOUNTS_MAX]


def _unescaped(path: str) -> str:
    """The kernel writes blanks and the like as octal numbers."""
    return path.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")


class Disks:
    """Remembers which mounts were writable: one that never was is meant to be so."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self.written: set[str] = set()
        self._hanging: dict[str, asyncio.Task[bool]] = {}

    async def read(self, at_ms: int, only: frozenset[str] | None = None) -> list[Reading]:
        """Of all disks and mounts, or only of these devices."""
        there = [one for one in mounts(self._root) if only is None or one.device in only]
        local = [one for one in there if one.kind in LOCAL]
        remote = [one for one in there if one.kind not in LOCAL]
        readings = [reading for one in local for reading in self._filled(one, at_ms)]
        readings += self._writable(there, at_ms)
        return readings + [await self._answers(one, at_ms) for one in remote]

    def _filled(self, mount: Mount, at_ms: int) -> Iterable[Reading]:
        try:
            found = os.statvfs(self._root / mount.path.lstrip("/"))
        except OSError:
            return
        total = found.f_blocks - found.f_bfree + found.f_bavail
        if total:
            used = 100 * (1 - found.f_bavail / total)
            words = f"{mount.path} ({mount.device}) is {used:.0f} % full"
            yield Reading(check="disk.used_percent", subject=mount.path, value=used, at_ms=at_ms, text=words)
        if found.f_files:
            used = 100 * (1 - found.f_favail / found.f_files)
            words = f"{used:.0f} % of the inodes of {mount.path} are used"
            yield Reading(check="disk.inodes_percent", subject=mount.path, value=used, at_ms=at_ms, text=words)

    def _writable(self, there: Iterable[Mount], at_ms: int) -> list[Reading]:
        readings = []
        for mount in there:
            if mount.writable:
                self.written.add(mount.path)
            if mount.path in self.written:
                words = f"{mount.path} ({mount.device}) is read-only, and was not"
                value = 0 if mount.writable else 1
                readings.append(
                    Reading(check="mount.readonly", subject=mount.path, value=value, at_ms=at_ms, text=words)
                )
        return readings

    async def _answers(self, mount: Mount, at_ms: int) -> Reading:
        """Ask a mount in a child, and do not wait for it for ever. One that hangs is not asked a second time."""
        task = self._hanging.get(mount.path) or asyncio.create_task(_probe(mount.path))
        done, _ = await asyncio.wait([task], timeout=PROBE_LIMIT_S)
        if done:
            self._hanging.pop(mount.path, None)
        else:
            self._hanging[mount.path] = task
        words = f"{mount.path} ({mount.device}) does not answer within {PROBE_LIMIT_S:g} s"
        return Reading(check="mount.hangs", subject=mount.path, value=0 if done else 1, at_ms=at_ms, text=words)

    def close(self) -> None:
        for task in self._hanging.values():
            task.cancel()


async def _probe(path: str) -> bool:
    process = await asyncio.create_subprocess_exec(
        "stat", "--file-system", "--", path, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        return await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            with contextlib.suppress(TimeoutError):  # one that hangs in the kernel is not killed until it wakes
                async with asyncio.timeout(KILLED_S):
                    await process.wait()
