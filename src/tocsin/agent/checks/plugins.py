"""A site's own checks: every executable in a folder. Exit code and first line, as Nagios plug-ins and NHC have it.

0 is well, 1 is a warning, 2 is critical, 3 is unknown and counts as a warning. Any other code, and one that does not
end, is critical.
"""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

from tocsin.model.health import Reading

TIME_LIMIT_S = 30.0
OUTPUT_BYTES_MAX = 64 << 10
LINE_CHARS_MAX = 500
PIPE_CLOSED_S = 0.5  # for the end of a pipe whose writers were killed
CHECKS_MAX = 64  # of one folder; more would not come round
WELL, WARNING, UNKNOWN = 0, 1, 3


def executables(folder: Path) -> list[Path]:
    """In the order of their names; folders, hidden files and what is not executable are left out."""
    try:
        files = sorted(folder.iterdir())
    except OSError:
        return []
    good = (one for one in files if one.is_file() and not one.name.startswith(".") and os.access(one, os.X_OK))
    return list(good)[:CHECKS_MAX]


async def run(check: Path, at_ms: int, time_limit_s: float = TIME_LIMIT_S) -> list[Reading]:
    """Both readings of a check: whether it warns, and whether it is critical."""
    code, line = await _outcome(check, time_limit_s)
    warns = code in (WARNING, UNKNOWN)
    words = f"{check.name}: {line}" if line else f"{check.name} exited with code {code}"
    return [
        Reading(check="user.warning", subject=check.name, value=1 if warns else 0, at_ms=at_ms, text=words),
        Reading(
            check="user.critical", subject=check.name, value=0 if warns or code == WELL else 1, at_ms=at_ms, text=words
        ),
    ]


async def _outcome(check: Path, time_limit_s: float) -> tuple[int, str]:
    try:
        process = await asyncio.create_subprocess_exec(
            str(check),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=check.parent,
            start_new_session=True,
            limit=OUTPUT_BYTES_MAX,
        )
    except OSError as error:
        return 126, f"cannot be started: {error.strerror}"
    assert process.stdout is not None, "its output is a pipe"
    try:
        async with asyncio.timeout(time_limit_s):
            output = await process.stdout.read(OUTPUT_BYTES_MAX)
            await _drained(process.stdout)
            code = await process.wait()
    except TimeoutError:
        await _end(process)
        return 124, f"did not end within {time_limit_s:g} s"
    except asyncio.CancelledError:
        await _end(process)
        raise
    return code, output.decode(errors="replace").partition("\n")[0].strip()[:LINE_CHARS_MAX]


async def _end(process: asyncio.subprocess.Process) -> None:
    """With all that it started. What it left behind when it ended well is its own affair."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
    assert process.stdout is not None, "its output is a pipe"
    with contextlib.suppress(TimeoutError):  # whoever left its session may hold the pipe for ever
        async with asyncio.timeout(PIPE_CLOSED_S):
            await _drained(process.stdout)


async def _drained(stream: asyncio.StreamReader) -> None:
    """Let it write on: a check that fills its pipe would never end."""
    while await stream.read(OUTPUT_BYTES_MAX):
        pass
