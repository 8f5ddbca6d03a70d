"""The lifecycle bundle: fetched from the server as a tar, unpacked on the node, its script found.

Called by scripts.py. Whatever goes wrong is a NotStarted, whose text is meant for whoever reads it at 3 a.m.
"""

import asyncio
import contextlib
import http.client
import os
import shutil
import tarfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO
from urllib.parse import urlsplit

from tocsin.agent.settings import AgentSettings
from tocsin.model.errors import TocsinError
from tocsin.model.link import RunScript

# Lifecycle bundles are scripts, a few MB with their wheels; what is bigger belongs in an image or on a file system.
BUNDLE_BYTES_MAX = 256 << 20
BUNDLE_FILES_MAX = 10_000
FETCH_LIMIT_S = 10.0  # for a server that restarts; a longer outage is told, and the fleet orders again
FETCH_RETRY_S = 0.5
DOWNLOAD_LIMIT_S = 300.0  # for a bundle that comes, but slowly
READ_BYTES = 256 << 10
ANSWER_CHARS_MAX = 300  # of the server's words in an error
NAMES_SHOWN_MAX = 10
SHEBANG_BYTES_MAX = 256  # as the kernel (BINPRM_BUF_SIZE)


class NotStarted(TocsinError):
    """The script did not run; the text says why and what to do."""


class _AskAgain(Exception):
    """The server may answer better in a moment."""


async def fetch(settings: AgentSettings, order: RunScript) -> Path:
    """Fetch and unpack the bundle; returns the folder that holds it."""
    folder = _folder(settings.directory, order.source)
    with TemporaryFile(dir=settings.directory) as archive:
        await _download(settings, order, archive)
        archive.seek(0)
        await asyncio.to_thread(_unpack, archive, folder, order.source)
    return folder


def _folder(directory: Path, source: str) -> Path:
    """`bundle/<bucket>/<prefix>` under the node's directory, as HyperPod does under /tmp (facts/hyperpod.md §6)."""
    parts = [part for part in source.removeprefix("s3://").split("/") if part]
    if not parts or any(part in (".", "..") or "\0" in part for part in parts):
        raise NotStarted(f"the lifecycle source '{source}' is no S3 URI: it should read s3://bucket/prefix")
    return directory.joinpath("bundle", *parts)


async def _download(settings: AgentSettings, order: RunScript, archive: IO[bytes]) -> None:
    headers = {"authorization": f"Bearer {settings.token}", "x-tocsin-instance": settings.instance_id}
    url = settings.server + order.bundle_path
    give_up = time.monotonic() + FETCH_LIMIT_S
    while True:
        try:
            return await _get(url, headers, order.source, archive)
        except (_AskAgain, http.client.HTTPException, OSError, TimeoutError) as error:
            if time.monotonic() + FETCH_RETRY_S > give_up:
                words = f"could not fetch the bundle {order.source} from {url} within {FETCH_LIMIT_S:g} s"
                raise NotStarted(f"{words}: {error or type(error).__name__}") from error
        await asyncio.sleep(FETCH_RETRY_S)


async def _get(url: str, headers: Mapping[str, str], source: str, archive: IO[bytes]) -> None:
    archive.seek(0)
    archive.truncate()
    place = urlsplit(url)
    kind = http.client.HTTPSConnection if place.scheme in ("https", "wss") else http.client.HTTPConnection
    connection = kind(place.hostname or "", place.port, timeout=FETCH_LIMIT_S)
    path = place.path + (f"?{place.query}" if place.query else "")
    async with asyncio.timeout(DOWNLOAD_LIMIT_S):
        await _apart(lambda: _receive(connection, path, headers, source, archive))


def _receive(
    connection: http.client.HTTPConnection, path: str, headers: Mapping[str, str], source: str, archive: IO[bytes]
) -> None:
    """Ask once, and write the answer to the archive. No redirect is followed: the token is for this server only.

    When nobody waits any more the archive is closed, which ends this at the next bytes.
    """
    with contextlib.closing(connection):
        connection.request("GET", path, headers=dict(headers))
        with connection.getresponse() as answer:
            _check(answer, source)
            while chunk := answer.read1(READ_BYTES):  # not `read`: it waits for so many, however slowly they come
                archive.write(chunk)
                if archive.tell() > BUNDLE_BYTES_MAX:
                    limit = f"{BUNDLE_BYTES_MAX >> 20} MiB"
                    raise NotStarted(f"the bundle {source} is larger than {limit}: take big files out")
            if answer.length:
                raise _AskAgain(f"the server's answer was cut {answer.length} bytes before its end")


def _check(answer: http.client.HTTPResponse, source: str) -> None:
    if answer.status >= 500 or answer.status == 429:
        raise _AskAgain(f"the server answered {answer.status} {_words(answer)}")
    if answer.status in (401, 403):
        raise NotStarted(f"the server refused this node the bundle ({answer.status} {_words(answer)})")
    if answer.status != 200:
        raise NotStarted(f"the server has no bundle for {source} ({answer.status} {_words(answer)})")


def _words(answer: http.client.HTTPResponse) -> str:
    return " ".join(answer.read(ANSWER_CHARS_MAX).decode(errors="replace").split())


async def _apart(work: Callable[[], None]) -> None:
    """Run it in a thread that nobody waits for: the pool's threads are joined when the loop ends, and an agent that is
    told to stop cannot wait for a slow server."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def settle(error: Exception | None) -> None:
        if done.cancelled():
            return
        if error:
            done.set_exception(error)
        else:
            done.set_result(None)

    def run() -> None:
        error = None
        try:
            work()
        except Exception as raised:
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, error)

    threading.Thread(target=run, name="bundle", daemon=True).start()
    await done


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
