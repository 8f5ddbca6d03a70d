"""Conditions made real on a node: a small disk that is full or read-only, an interface that has lost its carrier.

injections.py calls it. What is made bears a mark of the node's directory (an image file in it, the name of a veth's far
end), so that what a killed agent left is found by looking. Nothing that was there before is touched.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from zlib import crc32

from msgspec import Struct

from tocsin.model.nodedir import FAULTS_FOLDER

# The smallest that mkfs.ext4 makes without complaint, and is filled in an instant.
DISK_BYTES = 8 << 20
COMMAND_LIMIT_S = 10.0
TOOLS = {"mkfs.ext4": "e2fsprogs", "mount": "mount", "umount": "mount", "ip": "iproute2"}  # and Debian's packages
FAR_END = "tocf"  # how the far end of each veth that is made begins; behind it the directory and the fault
_INTERFACE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,14}")  # as the kernel takes them


class CannotBe(Exception):
    """The condition cannot be made here; the words say what is missing."""


class Made(Struct, frozen=True):
    """What there is of conditions: block devices (/dev/loop0) and interfaces."""

    devices: frozenset[str] = frozenset()
    interfaces: frozenset[str] = frozenset()


def mount_disk(directory: Path, work: str, at: str, *, shared: bool) -> Path:
    """A small disk of its own, writable and empty, at an empty directory; without one, below the node's own."""
    demand("mkfs.ext4", "mount", "umount")
    folder = directory / FAULTS_FOLDER
    place = _empty(directory, at, shared=shared) if at else folder / work
    if not at:
        place.mkdir(parents=True, exist_ok=True)
    folder.mkdir(exist_ok=True)
    image = folder / f"{work}.img"
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    _run("mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", str(image))
    _run("mount", "-t", "ext4", "-o", "loop,nodev,nosuid", str(image), str(place))
    return place


def fill(place: Path) -> None:
    """Write until nothing more fits."""
    with (place / "filler").open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)):
                    pass


def turn_read_only(place: Path) -> None:
    _run("mount", "-o", "remount,ro", str(place))


def link_up(directory: Path, work: str, name: str) -> str:
    """A new interface with a carrier: one end of a veth. Answers its name."""
    demand("ip")
    name = name or f"fault-{crc32(work.encode()):08x}"
    if not _INTERFACE.fullmatch(name):
        raise CannotBe(f"an interface cannot be called {name!r}: at most 15 letters, digits, - _ .")
    if Path("/sys/class/net", name).exists():
        raise CannotBe(f"{name} is an interface of this node already, and only one made for the fault is taken down")
    (directory / FAULTS_FOLDER).mkdir(exist_ok=True)
    far = _far_end(directory, work)
    _run("ip", "link", "add", "name", far, "type", "veth", "peer", "name", name)
    for end in (far, name):
        _run("ip", "link", "set", "dev", end, "up")
    return name


def link_down(directory: Path, work: str) -> None:
    """Take the carrier away: the far end goes down."""
    _run("ip", "link", "set", "dev", _far_end(directory, work), "down")


def made(directory: Path, root: Path = Path("/")) -> Made:
    """What there is of this directory's conditions, by its marks."""
    devices = frozenset(f"/dev/{loop.name}" for loop, _ in _loops(directory, root))
    net = root / "sys/class/net"
    ends = {_text(far / "iflink") for far in net.glob(f"{_mark(directory)}*")}
    near = frozenset(one.name for one in net.iterdir() if _text(one / "ifindex") in ends) if ends else frozenset()
    return Made(devices, near)


def let_go(directory: Path, work: str = "") -> None:
    """Undo a condition, or all of this directory's. What is in use goes when its last user does."""
    for loop, image in _loops(directory):
        if work in ("", image.stem):
            for place in _mounted(f"/dev/{loop.name}"):
                _tried("umount", "--lazy", place)
            _tried("losetup", "--detach", f"/dev/{loop.name}")
    ends = [_far_end(directory, work)] if work else [one.name for one in _far_ends(directory)]
    for far in ends:
        if Path("/sys/class/net", far).exists():
            _tried("ip", "link", "delete", "dev", far)
    folder = directory / FAULTS_FOLDER
    for image in folder.glob(f"{work or '*'}.img"):
        image.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            image.with_suffix("").rmdir()
    with contextlib.suppress(OSError):
        folder.rmdir()


def _empty(directory: Path, at: str, *, shared: bool) -> Path:
    place = directory / at
    if shared and not place.resolve().is_relative_to(directory.resolve()):
        raise CannotBe(f"{at} is not below {directory}, and this node shares its host with others")
    if not place.is_dir():
        raise CannotBe(f"{at} is no directory: name an empty one, or none")
    if any(place.iterdir()):
        raise CannotBe(f"{at} is not empty, and what is in it would be hidden: name an empty directory, or none")
    return place.resolve()


def demand(*tools: str) -> None:
    if os.geteuid() != 0:
        raise CannotBe(f"it takes root to make it real, and the agent is user {os.geteuid()} (--reading needs nothing)")
    gone = [tool for tool in tools if shutil.which(tool, path=_path()) is None]
    if gone:
        needed = ", ".join(f"{tool} (package {TOOLS[tool]})" for tool in gone)
        raise CannotBe(f"not installed on the node: {needed}")


def _path() -> str:
    """Where root's tools are, also for an agent whose PATH leaves them out."""
    return os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


def _run(*command: str) -> None:
    environment = {**os.environ, "PATH": _path(), "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotBe(f"{command[0]}: {error}") from error
    if done.returncode:
        raise CannotBe(f"{command[0]}: {' '.join(done.stderr.split())}")


def _tried(*command: str) -> None:
    """What is gone already needs no undoing."""
    with contextlib.suppress(CannotBe):
        _run(*command)


def _loops(directory: Path, root: Path = Path("/")) -> Iterator[tuple[Path, Path]]:
    """Loop devices of this directory's images, and the images."""
    folder = (directory / FAULTS_FOLDER).resolve()
    for loop in root.glob("sys/block/loop*"):
        image = Path(_text(loop / "loop/backing_file").removesuffix(" (deleted)"))
        if image.parent == folder:
            yield loop, image


def _mounted(device: str) -> Sequence[str]:
    table = [line.split(" ") for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [path.replace("\\040", " ") for found, path, *_ in table if found == device]


def _far_ends(directory: Path) -> list[Path]:
    return list(Path("/sys/class/net").glob(f"{_mark(directory)}*"))


def _far_end(directory: Path, work: str) -> str:
    return f"{_mark(directory)}{crc32(work.encode()) & 0xFFF:03x}"


def _mark(directory: Path) -> str:
    return f"{FAR_END}{crc32(os.fsencode(directory)):08x}"


def _text(place: Path) -> str:
    try:
        return place.read_text().strip()
    except OSError:
        return ""


if __name__ == "__main__":  # by machine providers, for a directory whose agent is gone
    let_go(Path(sys.argv[1]))
