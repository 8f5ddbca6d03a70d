"""Whether processes that tests know by their number have ended."""

import os
import select
from pathlib import Path

from tests.harness import WAIT_S


def gone(pid: int) -> bool:
    """Now. A zombie, which its reaper has not met yet, has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_gone(pid: int) -> None:
    """Once it has ended. Who was told to end it may be done before it is."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    select.select([fd], [], [], WAIT_S)
    os.close(fd)
    assert gone(pid)
