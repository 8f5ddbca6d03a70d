"""One server per data directory: an exclusive lock on `<directory>/lock`, which also tells how the last one ended.

The file holds the owner's pid while it runs and is empty after a clean end. The kernel lets go of the lock when the
process dies, however it dies.
"""

import fcntl
import os
from pathlib import Path

from tocsin.model.errors import Locked


class DirectoryLock:
    """Holds the directory from `take` to `release`. `left_unclean`: the last owner did not release it."""

    def __init__(self, descriptor: int, *, left_unclean: bool) -> None:
        self._descriptor = descriptor
        self.left_unclean = left_unclean

    @classmethod
    def take(cls, directory: Path) -> "DirectoryLock":
        """Take the directory, which is made where it is missing. Raises Locked when another server holds it."""
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)  # also one that was there: what is in it is for its owner alone
        descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            holder = f"process {pid}" if pid else "another process"
            raise Locked(
                f"{directory} is in use by {holder}: stop that server, or give this one a directory of its own"
            ) from None
        left_unclean = os.fstat(descriptor).st_size > 0
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return cls(descriptor, left_unclean=left_unclean)

    def release(self, *, clean: bool) -> None:
        """Let go. Not `clean`, the next owner is told."""
        if clean:
            os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
