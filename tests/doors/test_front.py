"""The front door itself: probes, bad requests, slow clients, signatures; and how a server starts, or says why not."""

import asyncio
import contextlib
import http.client
import json
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from tests.doors.asking import Answer, ask, configured, connect, members, refusal, tocsin
from tests.harness import WAIT_S, RunningServer, eventually
from tocsin.doors import front
from tocsin.server import SettingsError, load

JSON_1_1 = "application/x-amz-json-1.1"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
LIST_RULES = {"x_amz_target": "AWSEvents.ListRules", "content_type": JSON_1_1}
CALLER = b"Action=GetCallerIdentity&Version=2011-06-15"
FORM = {"content_type": "application/x-www-form-urlencoded; charset=utf-8"}


@pytest.fixture
def connection(server: RunningServer) -> Iterator[http.client.HTTPConnection]:
    with connect(server) as opened:
        yield opened


def refused(answer: Answer) -> tuple[int, str]:
    """The status and code of a JSON error, whose shape is checked on the way."""
    found = answer.json
    assert set(found) == {"__type", "message"}
    assert answer.headers["x-amzn-errortype"] == found["__type"]
    assert UUID.fullmatch(answer.headers["x-amzn-requestid"])
    assert found["message"]
    return answer.status, found["__type"]


# probes


def test_the_server_says_where_it_is_ready_and_is(
    server: RunningServer, connection: http.client.HTTPConnection
) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", server.endpoint)
    alive = ask(connection, "GET", "/healthz")
    assert (alive.status, alive.json["status"]) == (200, "ok")
    ready = ask(connection, "GET", "/readyz")
    assert (ready.status, ready.json) == (200, {"status": "ok"})


def test_a_probe_may_be_a_head_and_nothing_else(connection: http.client.HTTPConnection) -> None:
    assert (ask(connection, "HEAD", "/healthz").status, ask(connection, "HEAD", "/healthz").body) == (200, b"")
    assert ask(connection, "POST", "/healthz").status == 405
    assert ask(connection, "GET", "/_tocsin/v1/nothing-here").status == 404


# requests that are not understood


def test_a_browser_at_the_door_is_told_that_nothing_was_asked(connection: http.client.HTTPConnection) -> None:
    for method, path in (("GET", "/"), ("GET", "/favicon.ico"), ("DELETE", "/"), ("PUT", "/bucket/key")):
        answer = ask(connection, method, path)
        assert refused(answer) == (400, "UnknownOperationException")
        assert answer.json["message"].startswith("The request names no operation")
    head = ask(connection, "HEAD", "/")
    assert (head.status, head.body) == (400, b"")


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("AWSEvents.NoSuchOperation", 400, "UnknownOperationException"),
        ("AWSEvents", 400, "UnknownOperationException"),
        ("", 400, "UnknownOperationException"),
        ("DynamoDB_20120810.ListTables", 501, "NotImplemented"),
        ("AWSEvents.ListEndpoints", 501, "NotImplemented"),
    ],
)
def test_what_is_not_served_is_said_by_name(
    connection: http.client.HTTPConnection, target: str, status: int, code: str
) -> None:
    answer = ask(connection, "POST", "/", b"{}", x_amz_target=target)
    assert refused(answer) == (status, code)
    assert target.rpartition(".")[2] in answer.json["message"]


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"null", b"\xff\xfe", b'{"Limit": "ten"}', b"[" * 100_000])
def test_a_body_that_does_not_read_is_a_serialization_error(
    connection: http.client.HTTPConnection, body: bytes
) -> None:
    assert refused(ask(connection, "POST", "/", body, **LIST_RULES)) == (400, "SerializationException")


@pytest.mark.parametrize("content_type", ["text/plain", "application/json", "application/x-amz-json-1.0", ""])
def test_the_content_type_of_a_json_call_does_not_matter(
    connection: http.client.HTTPConnection, content_type: str
) -> None:
    answer = ask(connection, "POST", "/", b"{}", x_amz_target="AWSEvents.ListRules", content_type=content_type)
    assert answer.status == 200
    assert answer.headers["content-type"] == JSON_1_1
    assert UUID.fullmatch(answer.headers["x-amzn-requestid"])


def test_a_query_call_is_answered_in_xml_whatever_comes_of_it(connection: http.client.HTTPConnection) -> None:
    good = ask(connection, "POST", "/", CALLER, **FORM)
    assert (good.status, good.headers["content-type"]) == (200, "text/xml")
    assert b"<Account>111122223333</Account>" in good.body
    bad = ask(connection, "POST", "/", b"Action=Nothing&Version=2011-06-15", **FORM)
    assert (bad.status, bad.headers["content-type"]) == (400, "text/xml")
    assert b"<Code>InvalidAction</Code>" in bad.body
    assert bad.headers["x-amzn-requestid"].encode() in bad.body


def test_a_malformed_signature_is_said_to_be_one(connection: http.client.HTTPConnection) -> None:
    answer = ask(connection, "POST", "/", b"{}", **LIST_RULES, authorization="AWS4-HMAC-SHA256 rubbish")
    assert refused(answer) == (400, "IncompleteSignatureException")


def test_the_connection_outlives_errors(connection: http.client.HTTPConnection) -> None:
    ask(connection, "GET", "/healthz")
    socket_ = connection.sock
    for target, body, status in (
        ("AWSEvents.ListRules", b"{", 400),
        ("AWSEvents.DescribeRule", b'{"Name":"ghost"}', 400),
        ("AWSEvents.ListEndpoints", b"{}", 501),
        ("Nobody.Knows", b"{}", 501),
        ("AWSEvents.ListRules", b"{}", 200),
    ):
        assert ask(connection, "POST", "/", body, x_amz_target=target).status == status
        assert connection.sock is socket_


# bodies that are too much, or too slow


def test_a_body_that_is_announced_too_large_is_refused_before_it_comes(connection: http.client.HTTPConnection) -> None:
    connection.putrequest("POST", "/")
    connection.putheader("x-amz-target", "AWSEvents.ListRules")
    connection.putheader("content-length", str(front.BODY_BYTES_MAX + 1))
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413
    assert json.loads(answer.read())["__type"] == "RequestEntityTooLargeException"


def test_a_body_that_grows_too_large_is_refused(server: RunningServer) -> None:
    with connect(server) as connection:
        mebibyte = b"x" * (1 << 20)
        with contextlib.suppress(ConnectionError):  # the server may hang up while we go on sending
            connection.request(
                "POST",
                "/",
                iter([mebibyte] * 5),
                {"x-amz-target": "AWSEvents.ListRules", "transfer-encoding": "chunked"},
                encode_chunked=True,
            )
        answer = connection.getresponse()
        assert answer.status == 413
        assert json.loads(answer.read())["__type"] == "RequestEntityTooLargeException"


def test_the_largest_body_is_read(connection: http.client.HTTPConnection) -> None:
    body = b'{"NamePrefix":"a"' + b" " * (front.BODY_BYTES_MAX - 18) + b"}"
    assert len(body) == front.BODY_BYTES_MAX
    assert ask(connection, "POST", "/", body, **LIST_RULES).status == 200


def test_clients_that_say_half_and_wait_hold_up_nobody(server: RunningServer) -> None:
    address = server.endpoint.removeprefix("http://").split(":")
    head = b"POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: AWSEvents.ListRules\r\ncontent-length: 100\r\n\r\n{"
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            slow = stack.enter_context(socket.create_connection((address[0], int(address[1])), WAIT_S))
            slow.sendall(head)
        with connect(server, timeout_s=front.BODY_TIMEOUT_S) as connection:
            assert ask(connection, "POST", "/", b"{}", **LIST_RULES).status == 200


def test_a_body_that_never_ends_is_a_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "BODY_TIMEOUT_S", 0.01)

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError("never")

    with pytest.raises(front.RequestTimeout, match="did not arrive within"):
        asyncio.run(front._body(receive, {}))


def test_many_callers_at_once_are_all_answered(server: RunningServer) -> None:
    def call(_: int) -> list[int]:
        with connect(server) as connection:
            return [ask(connection, "POST", "/", b"{}", **LIST_RULES).status for _ in range(10)]

    with ThreadPoolExecutor(20) as callers:
        assert {status for some in callers.map(call, range(40)) for status in some} == {200}


# who asks


def test_an_unsigned_request_is_of_the_settings_account_and_region(connection: http.client.HTTPConnection) -> None:
    name = "unsigned-rule"
    body = json.dumps({"Name": name, "EventPattern": '{"source":["a"]}'}).encode()
    answer = ask(connection, "POST", "/", body, x_amz_target="AWSEvents.PutRule")
    assert answer.json == {"RuleArn": f"arn:aws:events:us-west-2:111122223333:rule/{name}"}


def test_an_access_key_of_twelve_digits_is_the_account(server: RunningServer, account: str) -> None:
    assert members(server.client("sts", account).get_caller_identity()) == {
        "UserId": account,
        "Account": account,
        "Arn": f"arn:aws:iam::{account}:root",
    }
    assert server.client("sts", "AKIAIOSFODNN7EXAMPLE").get_caller_identity()["Account"] == "111122223333"


KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that verifies signatures, with settings from a file, from variables and from the command line."""
    toml = (
        'account = "222222222222"\nregion = "eu-west-1"\n'
        f'[access_keys]\n{KEY} = "{SECRET}"\n"333333333333" = "another"\n'
    )
    with configured(
        tmp_path_factory.mktemp("guarded"), toml, "--region", "ap-south-1", environment={"TOCSIN_REGION": "us-east-1"}
    ) as running:
        yield running


def signed(server: RunningServer, service: str, key: str = KEY, secret: str = SECRET) -> Any:
    return boto3.client(
        service,
        endpoint_url=server.endpoint,
        region_name="us-west-2",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}),
    )


def test_the_right_secret_opens_the_door(guarded: RunningServer) -> None:
    assert signed(guarded, "sts").get_caller_identity()["Account"] == "222222222222"
    assert signed(guarded, "sts", "333333333333", "another").get_caller_identity()["Account"] == "333333333333"
    detail = json.dumps({"text": "ü " * 1000}, ensure_ascii=False)
    entry = {"Source": "a", "DetailType": "x", "Detail": detail}
    assert signed(guarded, "events").put_events(Entries=[entry])["FailedEntryCount"] == 0


def test_a_wrong_secret_or_an_unknown_key_does_not(guarded: RunningServer) -> None:
    wrong = refusal(signed(guarded, "events", KEY, "wrong").list_rules)
    assert (wrong.code, wrong.status) == ("InvalidSignatureException", 403)
    assert wrong.message.startswith("The request signature we calculated does not match the signature you provided.")
    unknown = refusal(signed(guarded, "events", "AKIAUNKNOWN").list_rules)
    assert unknown == (
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
        403,
    )
    assert refusal(signed(guarded, "sts", KEY, "wrong").get_caller_identity).code == "SignatureDoesNotMatch"
    assert refusal(signed(guarded, "sts", "AKIAUNKNOWN").get_caller_identity).code == "InvalidClientTokenId"


def test_an_unsigned_request_does_not(guarded: RunningServer) -> None:
    with connect(guarded) as connection:
        answer = ask(connection, "POST", "/", b"{}", **LIST_RULES)
        assert refused(answer) == (403, "MissingAuthenticationTokenException")
        for path in ("/_tocsin/v1/status", "/_tocsin/v1/events", "/_tocsin/v1/story", "/_tocsin/v1/nothing"):
            assert ask(connection, "GET", path).status == 403
        assert ask(connection, "GET", "/healthz").status == 200
        assert ask(connection, "GET", "/readyz").status == 200


def test_a_body_that_was_changed_on_the_way_does_not(guarded: RunningServer) -> None:
    request = AWSRequest("POST", f"{guarded.endpoint}/", {"x-amz-target": "AWSEvents.ListRules"}, b'{"Limit":1}')
    SigV4Auth(Credentials(KEY, SECRET), "events", "us-west-2").add_auth(request)
    headers = dict(request.headers.items())
    with connect(guarded) as connection:
        statuses = []
        for body in (b'{"Limit":1}', b'{"Limit":2}'):
            connection.request("POST", "/", body, headers)
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
    assert statuses == [200, 403]


def test_the_body_of_our_own_api_is_signed_too(guarded: RunningServer) -> None:
    path = "/_tocsin/v1/events"
    given = b'{"events": [{"source": "aws.x", "detail-type": "t", "detail": {}}]}'
    request = AWSRequest("POST", f"{guarded.endpoint}{path}", {"content-type": "application/json"}, given)
    SigV4Auth(Credentials(KEY, SECRET), "tocsin", "us-west-2").add_auth(request)
    headers = dict(request.headers.items())
    with connect(guarded) as connection:
        statuses = []
        for body in (given, given.replace(b"aws.x", b"aws.y")):
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        assert statuses == [200, 403]
        assert ask(connection, "POST", path, given, content_type="application/json").status == 403


def test_what_a_web_page_may_send_unasked_changes_nothing(connection: http.client.HTTPConnection) -> None:
    given = b'{"events": [{"source": "aws.x", "detail-type": "t", "detail": {}}]}'
    for content_type in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = ask(connection, "POST", "/_tocsin/v1/events", given, content_type=content_type)
        assert (answer.status, b"UnsupportedMediaTypeException" in answer.body) == (415, True)
    assert ask(connection, "POST", "/_tocsin/v1/status", b"{}", content_type="application/json").status == 405


def test_nodes_need_no_access_key(guarded: RunningServer) -> None:
    api = signed(guarded, "sagemaker")
    source = guarded.bucket("guarded-bucket", {"on_create.sh": "exit 0\n"})
    group = {
        "InstanceGroupName": "g",
        "InstanceCount": 1,
        "InstanceType": "ml.t3.medium",
        "ExecutionRole": "arn:aws:iam::222222222222:role/r",
        "LifeCycleConfig": {"SourceS3Uri": source, "OnCreate": "on_create.sh"},
    }
    api.create_cluster(ClusterName="c", InstanceGroups=[group])
    eventually(lambda: api.describe_cluster(ClusterName="c")["ClusterStatus"] == "InService", "in service")


def test_the_command_signs_with_the_keys_in_its_environment(guarded: RunningServer) -> None:
    keys = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
    asked = ("status", "--endpoint-url", guarded.endpoint, "--output", "json")
    shown = tocsin(*asked, environment={**keys, "AWS_REGION": "us-west-2"})
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["account"] == "222222222222"
    refused_ = tocsin(*asked)
    assert refused_.returncode == 1
    assert "answers 403" in refused_.stderr
    assert "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in refused_.stderr
    elsewhere = tocsin(*asked, "--account", "333333333333", environment=keys)
    assert json.loads(elsewhere.stdout)["account"] == "222222222222"  # one's own, whatever is asked for


# starting


def test_the_command_line_is_above_variables_above_the_file(tmp_path: Path) -> None:
    toml = 'account = "222222222222"\nregion = "eu-west-1"\ndetach_agents = false\n'
    variables = {"TOCSIN_REGION": "us-east-1", "TOCSIN_ACCOUNT": "444444444444", "TOCSIN_S3_ROOT": str(tmp_path / "b")}
    with configured(tmp_path, toml, "--account", "555555555555", environment=variables) as running:
        with connect(running) as connection:
            status = ask(connection, "GET", "/_tocsin/v1/status").json
        assert (status["account"], status["region"]) == ("555555555555", "us-east-1")
        assert (tmp_path / "b").is_dir()
        assert running.stop() == 0


def refuses(code: int, *options: str, environment: dict[str, str] | None = None) -> str:
    """The one line with which a server refuses to start."""
    done = tocsin("serve", *options, environment=environment)
    assert done.returncode == code, done
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("tocsin: ")
    return lines[0].removeprefix("tocsin: ")


def test_a_server_without_keys_keeps_to_its_own_machine(tmp_path: Path) -> None:
    said = refuses(2, "--host", "0.0.0.0", "--port", "0", "--data-dir", str(tmp_path / "data"))
    assert not (tmp_path / "data").exists()
    for host in ("0.0.0.0", "192.0.2.1", "example.org", "::"):
        with pytest.raises(SettingsError, match=f"^host {host} can be reached from other machines") as raised:
            load(None, {"host": host}, {})
        assert str(raised.value) == said.replace("0.0.0.0", host)
        assert said.endswith("set access_keys, or bind to 127.0.0.1")


def test_a_data_directory_has_one_server(server: RunningServer) -> None:
    said = refuses(1, "--port", "0", "--data-dir", str(server.data_dir))
    assert str(server.data_dir) in said
    with connect(server) as connection:
        assert ask(connection, "GET", "/readyz").status == 200


def test_a_port_that_is_taken_is_said_to_be(server: RunningServer, tmp_path: Path) -> None:
    port = server.endpoint.rpartition(":")[2]
    said = refuses(2, "--port", port, "--data-dir", str(tmp_path / "data"))
    assert said == f"cannot listen on 127.0.0.1:{port}: Address already in use"


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("port = ", "is not valid TOML"),
        ("prot = 1", "`prot`"),
        ('[fleet]\nlaunch_timeout_s = "soon"', "setting fleet.launch_timeout_s"),
        ("[fleet]\nlaunch_timeout = 1", "`launch_timeout`"),
        ("port = 70000", "port must be 0 to 65535, not 70000"),
        ('account = "12"', "account must be 12 digits, not '12'"),
        ('region = "Oregon"', "region must look like us-west-2, not 'Oregon'"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, toml: str, said: str) -> None:
    config = tmp_path / "bad.toml"
    config.write_text(toml)
    with pytest.raises(SettingsError, match=re.escape(said)):
        load(config, {}, {})


def test_a_settings_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    said = refuses(2, "--config", str(tmp_path / "none.toml"))
    assert said == f"{tmp_path}/none.toml: cannot be read: No such file or directory"


def test_a_wrong_variable_is_named(tmp_path: Path) -> None:
    said = refuses(2, "--data-dir", str(tmp_path), environment={"TOCSIN_PORT": "many"})
    assert "port" in said


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = refuses(1, "--port", "0", "--data-dir", str(tmp_path / "file" / "data"))
    assert str(tmp_path / "file") in said


# in one piece


def test_an_answer_leaves_in_one_piece(server: RunningServer) -> None:
    """A bare head would be a success without members to boto3, if the server fell behind it."""
    host, _, port = server.endpoint.removeprefix("http://").partition(":")
    asked = f"POST / HTTP/1.1\r\nhost: {host}\r\nx-amz-target: AWSEvents.ListRules\r\ncontent-type: {JSON_1_1}\r\n"
    for _ in range(50):
        with socket.create_connection((host, int(port)), timeout=WAIT_S) as peer:
            peer.sendall(f"{asked}content-length: 2\r\n\r\n{{}}".encode())
            head, _, body = peer.recv(1 << 16).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert "Rules" in json.loads(body)


# after all that


def test_nothing_of_all_this_made_the_server_stumble(server: RunningServer) -> None:
    assert "Traceback" not in server.errors.read_text()
