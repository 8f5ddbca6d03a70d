"""Services that are not served here come from another server, through the same endpoint."""

import http.client
import json
import socket
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.core.world import group_spec
from tests.harness import REGION, WAIT_S, RunningServer, eventually
from tocsin.server import SettingsError, load

SIGNED = (
    "AWS4-HMAC-SHA256 Credential=111122223333/20260101/us-west-2/s3/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=" + "0" * 64
)
DATED = {"Authorization": SIGNED, "X-Amz-Date": "20260101T000000Z"}


# moto behind us, in one process.


@pytest.fixture(scope="module")
def with_moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    running = RunningServer(tmp_path_factory.mktemp("moto") / "data", "--with-moto")
    yield running
    assert running.stop() == 0


def test_objects_and_roles_are_made_through_the_one_endpoint(with_moto: RunningServer) -> None:
    s3, iam = with_moto.client("s3", region="us-east-1"), with_moto.client("iam")
    s3.create_bucket(Bucket="models")
    large = bytes(range(256)) * 40_000  # more than a body of ours may be
    s3.put_object(Bucket="models", Key="a/large one.bin", Body=large)
    assert s3.get_object(Bucket="models", Key="a/large one.bin")["Body"].read() == large
    assert s3.head_object(Bucket="models", Key="a/large one.bin")["ContentLength"] == len(large)
    role = iam.create_role(RoleName="hyperpod", AssumeRolePolicyDocument="{}")["Role"]
    assert role["Arn"] == "arn:aws:iam::111122223333:role/hyperpod"
    assert with_moto.client("sts").get_caller_identity()["Account"] == "111122223333"


def test_the_part_of_a_service_that_is_not_here_is_there(with_moto: RunningServer) -> None:
    """Parameter Store is moto's, Run Command is ours."""
    ssm = with_moto.client("ssm")
    ssm.put_parameter(Name="/lab/word", Value="hush", Type="String")
    assert ssm.get_parameter(Name="/lab/word")["Parameter"]["Value"] == "hush"
    documents = ssm.list_documents()["DocumentIdentifiers"]
    assert "Tocsin-CollectDiagnostics" in [one["Name"] for one in documents]


def test_its_errors_are_its_own(with_moto: RunningServer) -> None:
    with pytest.raises(with_moto.client("s3").exceptions.NoSuchBucket):
        with_moto.client("s3").list_objects_v2(Bucket="nothing-of-the-kind")


def test_a_presigned_url_works_without_credentials(with_moto: RunningServer) -> None:
    s3 = with_moto.client("s3", region="us-east-1")
    s3.create_bucket(Bucket="presigned")
    s3.put_object(Bucket="presigned", Key="k", Body=b"here")
    signing = boto3.client(
        "s3",
        endpoint_url=with_moto.endpoint,
        region_name="us-east-1",
        aws_access_key_id="111122223333",
        aws_secret_access_key="secret",
        config=Config(signature_version="s3v4"),
    )
    url = signing.generate_presigned_url("get_object", Params={"Bucket": "presigned", "Key": "k"})
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"here"


def test_a_bucket_may_be_named_by_the_host(with_moto: RunningServer) -> None:
    """As SDKs do it by themselves where the endpoint is a name."""
    port = urlsplit(with_moto.endpoint).port
    with_moto.client("s3", region="us-east-1").create_bucket(Bucket="by-host")
    signing = boto3.client(
        "s3",
        endpoint_url=f"http://localhost:{port}",
        region_name="us-east-1",
        aws_access_key_id="111122223333",
        aws_secret_access_key="secret",
        config=Config(signature_version="s3v4", s3={"addressing_style": "virtual"}),
    )
    for method, operation, body in (("PUT", "put_object", b"here"), ("GET", "get_object", None)):
        url = urlsplit(signing.generate_presigned_url(operation, Params={"Bucket": "by-host", "Key": "a/k"}))
        assert url.netloc == f"by-host.localhost:{port}"
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
        connection.request(method, f"{url.path}?{url.query}", body, {"Host": url.netloc})
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"here" if method == "GET" else b"")
        connection.close()


def test_a_clusters_script_is_read_from_that_s3(with_moto: RunningServer, account: str) -> None:
    s3 = with_moto.client("s3", region="us-east-1")
    s3.create_bucket(Bucket="lifecycle")
    s3.put_object(Bucket="lifecycle", Key="config/on_create.sh", Body=b"#!/bin/sh\necho from moto\n")
    sagemaker, logs = with_moto.client("sagemaker", account), with_moto.client("logs", account)
    lifecycle = {"SourceS3Uri": "s3://lifecycle/config/", "OnCreate": "on_create.sh"}
    group = group_spec("workers", 1, LifeCycleConfig=lifecycle)
    cluster_id = sagemaker.create_cluster(ClusterName="c", InstanceGroups=[group])["ClusterArn"].rpartition("/")[2]
    eventually(
        lambda: sagemaker.describe_cluster(ClusterName="c")["ClusterStatus"] == "InService", "c is InService", 40
    )
    found = logs.filter_log_events(logGroupName=f"/aws/sagemaker/Clusters/c/{cluster_id}", filterPattern="moto")
    assert [event["message"] for event in found["events"]] == ["from moto"]
    sagemaker.delete_cluster(ClusterName="c")


def test_a_reset_wipes_moto_too(tmp_path: Path) -> None:
    server = RunningServer(tmp_path / "data", "--with-moto", "--test-mode")
    try:
        s3 = server.client("s3", region="us-east-1")
        s3.create_bucket(Bucket="first")
        urllib.request.urlopen(urllib.request.Request(f"{server.endpoint}/moto-api/reset", method="POST")).close()
        assert s3.list_buckets()["Buckets"] == []
    finally:
        server.stop()


# An upstream that shows what it is sent.


class Recorded(BaseHTTPRequestHandler):
    """Answers by the path: /wait/… goes on when it is told to; all else says what came."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.startswith("/wait/"):
            self._in_two_halves()
        else:
            self._answer({"path": self.path, "headers": {name.lower(): value for name, value in self.headers.items()}})

    def do_PUT(self) -> None:
        half = self.rfile.read(5)
        self.server.half_seen.set()  # type: ignore[attr-defined]
        rest = self.rfile.read(int(self.headers["content-length"]) - 5)
        self._answer({"body": (half + rest).decode()})

    def _in_two_halves(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "10")
        self.send_header("Connection", "X-Inner")
        self.send_header("X-Inner", "of this connection")
        self.send_header("X-Amz-Meta-Kept", "yes")
        self.end_headers()
        self.wfile.write(b"first")
        self.wfile.flush()
        self.server.go_on.wait(WAIT_S)  # type: ignore[attr-defined]
        if self.path == "/wait/whole":
            self.wfile.write(b"-last")
        else:
            self.close_connection = True

    def _answer(self, told: dict[str, Any]) -> None:
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


class Behind:
    """A server with an upstream of ours."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._connections: list[http.client.HTTPConnection] = []
        self.upstream = ThreadingHTTPServer(("127.0.0.1", 0), Recorded)
        self.upstream.half_seen, self.upstream.go_on = threading.Event(), threading.Event()  # type: ignore[attr-defined]
        threading.Thread(target=self.upstream.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{self.upstream.server_port}"
        self.server = RunningServer(folder / "data", "--upstream", address, *options)

    def connection(self) -> http.client.HTTPConnection:
        where = urlsplit(self.server.endpoint)
        opened = http.client.HTTPConnection(str(where.hostname), where.port, timeout=WAIT_S)
        self._connections.append(opened)
        return opened

    def asked(self, method: str, path: str, **headers: str) -> http.client.HTTPResponse:
        connection = self.connection()
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers={**DATED, **given})
        return connection.getresponse()

    def leave(self) -> None:
        self.upstream.shutdown()
        self.upstream.server_close()

    def stop(self) -> None:
        for opened in self._connections:
            opened.close()
        self.leave()
        self.server.stop()


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[Behind]:
    both = Behind(tmp_path)
    yield both
    both.stop()


def test_a_request_goes_on_as_it_came_but_for_its_hop_by_hop_headers(behind: Behind) -> None:
    hops = {"Connection": "X-Mine, keep-alive", "X-Mine": "1", "Keep-Alive": "5", "TE": "trailers"}
    with behind.asked("GET", "/b/a%20b//c%2Fd?x=1&y=%20", X_Amz_Meta_Name="kept", **hops) as answer:
        seen = json.load(answer)
    assert seen["path"] == "/b/a%20b//c%2Fd?x=1&y=%20"
    kept = {name: value for name, value in seen["headers"].items() if name != "accept-encoding"}
    assert kept == {
        "host": urlsplit(behind.server.endpoint).netloc,
        "authorization": SIGNED,
        "x-amz-date": "20260101T000000Z",
        "x-amz-meta-name": "kept",
    }


def test_an_answer_is_passed_on_while_it_comes(behind: Behind) -> None:
    with behind.asked("GET", "/wait/whole") as answer:
        assert answer.read(5) == b"first"
        behind.upstream.go_on.set()  # type: ignore[attr-defined]
        assert answer.read() == b"-last"
        assert answer.headers["x-amz-meta-kept"] == "yes"
        assert "x-inner" not in answer.headers


def test_a_body_is_passed_on_while_it_comes(behind: Behind) -> None:
    connection = behind.connection()
    connection.putrequest("PUT", "/b/k")
    for name, value in {**DATED, "Content-Length": "10"}.items():
        connection.putheader(name, value)
    connection.endheaders(b"first")
    assert behind.upstream.half_seen.wait(WAIT_S)  # type: ignore[attr-defined]
    connection.send(b"-last")
    with connection.getresponse() as answer:
        assert json.load(answer) == {"body": "first-last"}


def test_an_answer_that_breaks_off_breaks_off_for_the_client(behind: Behind) -> None:
    with behind.asked("GET", "/wait/broken") as answer:
        assert answer.read(5) == b"first"
        behind.upstream.go_on.set()  # type: ignore[attr-defined]
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            answer.read()


def test_an_upstream_that_is_away_is_told_as_the_service_tells_errors(behind: Behind) -> None:
    behind.leave()
    for service, ask in (("s3", "list_buckets"), ("iam", "list_roles"), ("dynamodb", "list_tables")):
        with pytest.raises(ClientError, match="does not answer") as caught:
            getattr(behind.server.client(service), ask)()
        assert caught.value.response["Error"]["Code"] == "BadGateway"
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 502


def test_what_is_served_here_is_not_asked_of_the_upstream(behind: Behind) -> None:
    behind.leave()
    assert behind.server.client("sqs").list_queues()["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_without_an_upstream_other_services_are_refused_by_name(server: RunningServer) -> None:
    with pytest.raises(ClientError, match="not served here"):
        server.client("dynamodb").list_tables()


# Where signatures are verified.

KEYS = '[access_keys]\nAKIATOCSIN000000001 = "right"\n'


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "tocsin.toml").write_text(KEYS)
    running = RunningServer(folder / "data", "--with-moto", "--config", str(folder / "tocsin.toml"))
    yield running
    running.stop()


def client(server: RunningServer, service: str, secret: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=server.endpoint,
        region_name=REGION if service != "s3" else "us-east-1",
        aws_access_key_id="AKIATOCSIN000000001",
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}),
    )


def test_only_who_has_a_key_reaches_the_upstream(guarded: RunningServer) -> None:
    s3, iam = client(guarded, "s3", "right"), client(guarded, "iam", "right")
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="a b/ü.txt", Body=b"x" * 100)
    assert s3.get_object(Bucket="kept", Key="a b/ü.txt")["Body"].read() == b"x" * 100
    iam.create_role(RoleName="r", AssumeRolePolicyDocument="{}")
    for service, ask in (("s3", "list_buckets"), ("iam", "list_roles")):
        with pytest.raises(ClientError, match="signature we calculated does not match"):
            getattr(client(guarded, service, "wrong"), ask)()


def test_a_body_that_is_not_the_one_that_was_signed_does_not_reach_it(guarded: RunningServer) -> None:
    s3 = boto3.client(
        "s3",
        endpoint_url=guarded.endpoint,
        region_name="us-east-1",
        aws_access_key_id="AKIATOCSIN000000001",
        aws_secret_access_key="right",
        config=Config(
            retries={"total_max_attempts": 1},
            request_checksum_calculation="when_required",
            s3={"payload_signing_enabled": True},
        ),
    )
    s3.create_bucket(Bucket="exact")

    def swap(request: Any, **_: Any) -> None:
        request.body = b"Y" * 4

    s3.meta.events.register("before-send.s3.PutObject", swap)
    with pytest.raises(ClientError, match="XAmzContentSHA256Mismatch"):
        s3.put_object(Bucket="exact", Key="k", Body=b"X" * 4)
    assert "Contents" not in s3.list_objects_v2(Bucket="exact")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"upstream": "127.0.0.1:5000"}, "upstream must look like http://127.0.0.1:5000"),
        ({"upstream": "http://127.0.0.1:5000", "with_moto": True}, "choose one"),
    ],
)
def test_settings_that_cannot_be_are_told(given: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load(None, given, {})


def test_sockets_are_not_kept_for_clients_that_went_away(behind: Behind) -> None:
    where = urlsplit(behind.server.endpoint)
    with socket.create_connection((str(where.hostname), where.port or 80)) as raw:
        raw.sendall(
            f"GET /wait/whole HTTP/1.1\r\nHost: {where.netloc}\r\nAuthorization: {SIGNED}\r\n"
            "X-Amz-Date: 20260101T000000Z\r\n\r\n".encode()
        )
        assert b"200" in raw.recv(100)
    behind.upstream.go_on.set()  # type: ignore[attr-defined]
    assert behind.server.client("sqs").list_queues()["ResponseMetadata"]["HTTPStatusCode"] == 200
