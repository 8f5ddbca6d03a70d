"""S3 buckets that are folders: what commands write into them. A write at a place may be repeated.

The Buckets port. Reading lifecycle scripts out of buckets is the nodes door's affair.
"""

import asyncio
import os
import re
from pathlib import Path

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


class BucketFolders:
    """Each folder in `root` is a bucket."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def there(self, bucket: str) -> bool:
        return bool(_BUCKET.fullmatch(bucket)) and ".." not in bucket and (self._root / bucket).is_dir()

    async def write(self, bucket: str, key: str, at: int, data: bytes) -> None:
        """Put bytes at a place of an object, which is made where it is missing. Raises OSError."""
        await asyncio.to_thread(self._write, bucket, key, at, data)

    def _write(self, bucket: str, key: str, at: int, data: bytes) -> None:
        folder = (self._root / bucket).resolve()
        path = (folder / key).resolve()  # a link in the bucket may lead anywhere
        if not path.is_relative_to(folder):
            raise PermissionError(f"{key} leads out of the bucket {bucket}")
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.pwrite(handle, data, at)
        finally:
            os.close(handle)
