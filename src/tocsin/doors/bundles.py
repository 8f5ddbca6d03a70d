"""Lifecycle bundles: everything under an s3:// prefix, as one tar. Handed to nodes by the nodes door.

A bucket that is a folder under the S3 root is read from there; any other is fetched from a real S3, with whatever
endpoint and credentials boto3 finds in its environment.
"""

import asyncio
import io
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tocsin.model.errors import TocsinError

BUNDLE_BYTES_MAX = 64 << 20  # lifecycle scripts are kilobytes; who ships images in them has taken a wrong turn
BUNDLE_FILES_MAX = 10_000
# An upstream that looks at credentials has its own in the environment. One that does not takes any.
UPSTREAM_KEY = "tocsin"
_SOURCE = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>.*))?")


class BundleMissing(TocsinError):
    """The bundle cannot be had; the text says why, for the node's log."""


class Bundles:
    """Reads bundles from `root` or S3: the one at `endpoint`, else what boto3 finds by itself."""

    def __init__(self, root: Path, endpoint: str | None = None) -> None:
        self._root = root
        self._endpoint = endpoint

    async def tar(self, source: str) -> bytes:
        """The files under the URI, named relative to it. Raises BundleMissing."""
        return await asyncio.to_thread(self._tar, source)

    def _tar(self, source: str) -> bytes:
        match = _SOURCE.fullmatch(source)
        if match is None or ".." in match["bucket"]:
            raise BundleMissing(f"{source} is no s3://bucket/prefix: a bucket is named by 3 to 63 of a-z, 0-9, . and -")
        bucket, prefix = match["bucket"], match["prefix"] or ""
        folder = self._root / bucket
        files = _from_folder(folder, prefix) if folder.is_dir() else self._from_s3(bucket, prefix)
        return _pack(source, files)

    def _from_s3(self, bucket: str, prefix: str) -> Iterator[tuple[str, bytes, bool]]:
        import boto3  # here, not above: it takes longer to load than the rest of the server
        from botocore.config import Config

        keys = {}
        if self._endpoint and boto3.session.Session().get_credentials() is None:
            keys = {"aws_access_key_id": UPSTREAM_KEY, "aws_secret_access_key": UPSTREAM_KEY}
        config = Config(s3={"addressing_style": "path"}) if self._endpoint else None
        region = "us-east-1" if self._endpoint else None
        client: Any = boto3.client("s3", endpoint_url=self._endpoint, config=config, region_name=region, **keys)
        return _from_s3(client, bucket, prefix, self._root)


def _pack(source: str, files: Iterator[tuple[str, bytes, bool]]) -> bytes:
    out = io.BytesIO()
    count = 0
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content, executable in files:
            count += 1
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mode = 0o755 if executable else 0o644
            tar.addfile(info, io.BytesIO(content))
            if out.tell() > BUNDLE_BYTES_MAX or count > BUNDLE_FILES_MAX:
                raise BundleMissing(
                    f"{source} holds more than {BUNDLE_BYTES_MAX >> 20} MiB or {BUNDLE_FILES_MAX} files: "
                    "point SourceS3Uri at a folder that holds the lifecycle scripts only"
                )
    if not count:
        raise BundleMissing(f"there is nothing under {source}")
    return out.getvalue()


def _from_folder(bucket: Path, prefix: str) -> Iterator[tuple[str, bytes, bool]]:
    root = bucket.resolve()
    folder = (root / prefix).resolve()
    if not folder.is_relative_to(root):
        raise BundleMissing(f"{prefix} leads out of its bucket")
    if not folder.is_dir():
        raise BundleMissing(f"{bucket} has no folder {prefix or '/'}")
    for path in sorted(folder.rglob("*")):
        # A link may lead anywhere; only what lies in the bucket is part of it.
        if path.is_file() and path.resolve().is_relative_to(root):
            if path.stat().st_size > BUNDLE_BYTES_MAX:
                raise BundleMissing(f"{path} is larger than {BUNDLE_BYTES_MAX >> 20} MiB")
            yield str(path.relative_to(folder)), path.read_bytes(), bool(path.stat().st_mode & 0o111)


def _from_s3(client: Any, bucket: str, prefix: str, root: Path) -> Iterator[tuple[str, bytes, bool]]:
    from botocore.exceptions import BotoCoreError, ClientError

    folder = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
    try:
        for found in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder):
            for item in found.get("Contents", []):
                if item["Size"] > BUNDLE_BYTES_MAX:
                    raise BundleMissing(f"s3://{bucket}/{item['Key']} is larger than {BUNDLE_BYTES_MAX >> 20} MiB")
                if not item["Key"].endswith("/"):
                    body = client.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
                    yield item["Key"].removeprefix(folder), body, True
    except (BotoCoreError, ClientError) as error:
        raise BundleMissing(f"there is no folder {root / bucket}, and S3 answers: {error}") from error
