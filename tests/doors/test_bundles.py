"""Lifecycle bundles: what is under the prefix, all of it, and nothing else."""

import asyncio
import io
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tocsin.doors import bundles
from tocsin.doors.bundles import BundleMissing, Bundles


def names(root: Path, source: str) -> dict[str, tuple[bytes, int]]:
    raw = asyncio.run(Bundles(root).tar(source))
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        members = tar.getmembers()
        return {one.name: (tar.extractfile(one).read(), one.mode) for one in members}  # type: ignore[union-attr]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    config = tmp_path / "s3" / "bucket" / "config"
    (config / "lib").mkdir(parents=True)
    (config / "on_create.sh").write_text("#!/bin/sh\n")
    (config / "on_create.sh").chmod(0o700)
    (config / "lib" / "data.txt").write_text("x")
    (tmp_path / "s3" / "bucket" / "other.txt").write_text("not of this prefix")
    (tmp_path / "secret").write_text("not of this bucket")
    return tmp_path / "s3"


@pytest.mark.parametrize("source", ["s3://bucket/config/", "s3://bucket/config", "s3://bucket/config//"])
def test_everything_under_the_prefix_with_its_mode(root: Path, source: str) -> None:
    assert names(root, source) == {"on_create.sh": (b"#!/bin/sh\n", 0o755), "lib/data.txt": (b"x", 0o644)}


def test_a_bucket_without_prefix_is_all_of_it(root: Path) -> None:
    assert set(names(root, "s3://bucket")) == {"config/on_create.sh", "config/lib/data.txt", "other.txt"}


def test_a_link_out_of_the_bucket_is_left_out(root: Path) -> None:
    (root / "bucket" / "config" / "leak").symlink_to(root.parent / "secret")
    assert "leak" not in names(root, "s3://bucket/config/")


@pytest.mark.parametrize(
    "source",
    ["s3://bucket/nothing/", "s3://bucket/../../", "s3://../bucket/", "s3://Bucket_/", "https://bucket/x", "s3://", ""],
)
def test_what_is_not_there_or_leads_out_is_missing_and_says_why(root: Path, source: str) -> None:
    with pytest.raises(BundleMissing, match=r"."):
        asyncio.run(Bundles(root).tar(source))


def test_an_empty_folder_is_no_bundle(root: Path) -> None:
    (root / "bucket" / "empty").mkdir()
    with pytest.raises(BundleMissing, match="nothing under"):
        asyncio.run(Bundles(root).tar("s3://bucket/empty/"))


def test_a_bundle_has_a_limit(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "BUNDLE_BYTES_MAX", 10_000)
    (root / "bucket" / "config" / "image").write_bytes(b"x" * 20_000)
    with pytest.raises(BundleMissing, match="larger"):
        asyncio.run(Bundles(root).tar("s3://bucket/config/"))


def test_a_bucket_that_is_no_folder_is_asked_of_s3_with_boto3s_settings(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-west-2",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BundleMissing, match=r"no folder .*S3 answers: .*127\.0\.0\.1:9"):
        asyncio.run(Bundles(root).tar("s3://elsewhere/config/"))


OBJECTS = {"config/on_create.sh": b"#!/bin/sh\n", "config/lib/data.txt": b"x", "config/": b"", "other.txt": b"no"}


class SmallS3(BaseHTTPRequestHandler):
    """Two operations of S3, path-style, a page of one object at a time: enough for boto3 to read a prefix."""

    def do_GET(self) -> None:
        path, query = unquote(urlsplit(self.path).path), parse_qs(urlsplit(self.path).query)
        key = path.partition("/")[2].partition("/")[2]
        self._send(OBJECTS[key] if key else self._listed(query))

    def _listed(self, query: dict[str, list[str]]) -> bytes:
        prefix, place = query["prefix"][0], int(query.get("continuation-token", ["0"])[0])
        keys = sorted(key for key in OBJECTS if key.startswith(prefix))
        more = place + 1 < len(keys)
        token = f"<NextContinuationToken>{place + 1}</NextContinuationToken>" if more else ""
        item = f"<Contents><Key>{keys[place]}</Key><Size>{len(OBJECTS[keys[place]])}</Size></Contents>"
        head = '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        return f"{head}<IsTruncated>{str(more).lower()}</IsTruncated>{item}{token}</ListBucketResult>".encode()

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        pass


@contextmanager
def small_s3() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), SmallS3) as http:
        serving = threading.Thread(target=http.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{http.server_address[1]}"
        finally:
            http.shutdown()
            serving.join()


def test_a_bundle_in_s3_is_all_objects_of_its_prefix_page_by_page(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with small_s3() as endpoint:
        for name, value in {
            "AWS_ENDPOINT_URL_S3": endpoint,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_DEFAULT_REGION": "us-west-2",
        }.items():
            monkeypatch.setenv(name, value)
        found = names(root, "s3://elsewhere/config/")
    assert found == {"on_create.sh": (b"#!/bin/sh\n", 0o755), "lib/data.txt": (b"x", 0o755)}
