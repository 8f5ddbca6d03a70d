"""The lifecycle bundle: fetched from the server as a tar, unpacked on the node, its script found.

Called by scripts.py; download.py asks the server.
"""

import asyncio
import os
import shutil
import tarfile
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from tocsin.agent.download import NotStarted, Wanted, download
from tocsin.agent.settings import AgentSettings
from tocsin.model.link import RunScript

# Lifecycle bundles are scripts, a few MB with their wheels; what is bigger belongs in an image or on a file system.
BUNDLE_BYTES_MAX = 256 << 20
BUNDLE_FILES_MAX = 10_000
NAMES_SHOWN_MAX = 10
SHEBANG_BYTES_MAX = 256  # as the kernel (BINPRM_BUF_SIZE)


async def fetch(settings: AgentSettings, order: RunScript) -> Path:
    """Fetch and unpack the bundle; returns the folder that holds it."""
    folder = _folder(settings.directory, order.source)
    with TemporaryFile(dir=settings.directory) as archive:
        wanted = Wanted(path=order.bundle_path, name=f"bundle {order.source}", bytes_max=BUNDLE_BYTES_MAX)
        await download(settings, wanted, archive)
        archive.seek(0)
        await asyncio.to_thread(_unpack, archive, folder, order.source)
    return folder


def _folder(directory: Path, source: str) -> Path:
    """`bundle/<bucket>/<prefix>` under the node's directory, as HyperPod does under /tmp (facts/hyperpod.md §6)."""
    parts = [part for part in source.removeprefix("s3://").split("/") if part]
    if not parts or any(part in (".", "..") or "\0" in part for part in parts):
        raise NotStarted(f"the lifecycle source '{source}' is no S3 URI: it should read s3://bucket/prefix")
    return directory.joinpath("bundle", *parts)


def _unpack(archive: IO[bytes], folder: Path, source: str) -> None:
    """Unpack into a fresh folder. Only plain files and directories: S3 has nothing else, so anything else is an attack
    or a mistake."""
    fresh = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    files = size = 0
    try:
        with tarfile.open(fileobj=archive, mode="r:") as tar:
            for member in tar:
                files, size = files + 1, size + member.size
                if files > BUNDLE_FILES_MAX or size > BUNDLE_BYTES_MAX:
                    limits = f"{BUNDLE_FILES_MAX} files and {BUNDLE_BYTES_MAX >> 20} MiB"
                    raise NotStarted(f"the bundle {source} unpacks to more than {limits}: take big files out")
                if not (member.isreg() or member.isdir()):
                    raise NotStarted(f"the bundle {source} holds '{member.name}', which is no plain file")
                tar.extract(member, fresh, filter="data")  # refuses names that lead outside
    except tarfile.TarError as error:
        raise NotStarted(f"the bundle {source} cannot be unpacked: {error}") from error
    except OSError as error:
        raise NotStarted(f"the bundle {source} cannot be written to {folder}: {error}") from error
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


def command(folder: Path, on_create: str) -> list[str]:
    """The command line that runs the script: by its shebang, else with bash. S3 keeps no mode bits, so those of the
    file say nothing. Raises NotStarted when there is no script or nothing to run it with."""
    script = folder / on_create
    if not on_create or not script.resolve().is_relative_to(folder.resolve()):
        raise NotStarted(f"OnCreate '{on_create}' leads outside the bundle: name a file in it")
    if not script.is_file():
        raise NotStarted(f"the bundle has no script '{on_create}'; it holds: {_listing(folder)}")
    with script.open("rb") as file:
        first = file.read(SHEBANG_BYTES_MAX).split(b"\n", 1)[0]
    if first.startswith(b"\x7fELF"):
        script.chmod(0o700)
        return [str(script)]
    if not first.startswith(b"#!"):
        return ["/bin/bash", str(script)]
    if first.endswith(b"\r"):
        fix = f"convert it with 'dos2unix {on_create}' and upload it again"
        raise NotStarted(f"'{on_create}' has Windows line ends (CRLF), so its interpreter is not found: {fix}")
    words = os.fsdecode(first[2:]).strip().split(None, 1)
    if not words or not Path(words[0]).is_file():
        name = words[0] if words else ""
        raise NotStarted(f"'{on_create}' asks for the interpreter '{name}', which is not on this node")
    return [*(word.strip() for word in words), str(script)]


def _listing(folder: Path) -> str:
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    more = f" and {len(names) - NAMES_SHOWN_MAX} more" if len(names) > NAMES_SHOWN_MAX else ""
    return ", ".join(names[:NAMES_SHOWN_MAX]) + more if names else "nothing"
