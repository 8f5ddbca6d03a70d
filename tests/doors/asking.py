"""What the door tests ask a server: calls that must fail, raw HTTP, the `tocsin` command, configured servers."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from botocore.exceptions import ClientError

from tests.harness import WAIT_S, RunningServer


class Refusal(NamedTuple):
    """An error answer: the wire's code, message and HTTP status."""

    code: str
    message: str
    status: int


def refusal(call: Callable[..., Any], **request: Any) -> Refusal:
    """The error with which the call is answered; fails when it is not refused."""
    with pytest.raises(ClientError) as raised:
        call(**request)
    answer = raised.value.response
    return Refusal(
        answer["Error"]["Code"], answer["Error"]["Message"], int(answer["ResponseMetadata"]["HTTPStatusCode"])
    )


@contextlib.contextmanager
def refused(code: str, text: str) -> Iterator[None]:
    """The call within is answered with this code, and a message that holds the text."""
    with pytest.raises(ClientError) as raised:
        yield
    error = raised.value.response["Error"]
    assert error["Code"] == code
    assert text in error["Message"]


def members(answer: Mapping[str, Any]) -> dict[str, Any]:
    """What boto3 read of the body."""
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@contextlib.contextmanager
def connect(server: RunningServer, timeout_s: float = WAIT_S) -> Iterator[http.client.HTTPConnection]:
    """A connection that is closed in the end. http.client opens it again when the server closed it in between."""
    opened = http.client.HTTPConnection(server.endpoint.removeprefix("http://"), timeout=timeout_s)
    with contextlib.closing(opened):
        yield opened


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes = b"",
    **headers: str,
) -> Answer:
    """One request over the connection, which stays open. Underscores in header names stand for dashes."""
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())


def tocsin(
    *arguments: str, environment: Mapping[str, str] | None = None, timeout_s: float = WAIT_S
) -> "subprocess.CompletedProcess[str]":
    """The `tocsin` command. Whatever TOCSIN_ and AWS_ variables the tests run under are left out."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TOCSIN_", "AWS_"))}
    return subprocess.run(
        [sys.executable, "-m", "tocsin", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        env={**inherited, "COLUMNS": "200", **(environment or {})},
    )


@contextlib.contextmanager
def configured(
    folder: Path, toml: str, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[RunningServer]:
    """A server with a settings file of its own."""
    config = folder / "tocsin.toml"
    config.write_text(toml)
    running = RunningServer(folder / "data", "--config", str(config), *options, environment=environment)
    try:
        yield running
    finally:
        running.stop()


def log_lines(server: RunningServer, account: str, group: str, region: str = "us-west-2") -> list[str]:
    """The messages of a log group."""
    logs = server.client("logs", account, region)
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
    return [line["message"] for page in pages for line in page["events"]]
