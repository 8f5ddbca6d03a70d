"""`aws logs tail --follow`, which only version 2 of the AWS CLI has, against a log group that rules write to."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue

import pytest

from tests.harness import REGION, WAIT_S, RunningServer, cli_environment


def _version_2() -> str | None:
    for place in ("/usr/bin/aws", "/usr/local/bin/aws"):
        if Path(place).exists():
            told = subprocess.run([place, "--version"], capture_output=True, text=True, check=False, timeout=WAIT_S)
            if told.stdout.startswith("aws-cli/2"):
                return place
    return None


@contextmanager
def _tail(aws: str, server: RunningServer, account: str, *arguments: str) -> Iterator["Queue[str]"]:
    """The lines that the command prints, as they come."""
    lines: Queue[str] = Queue()
    command = [aws, "--endpoint-url", server.endpoint, "logs", "tail", *arguments]
    environment = {**os.environ, **cli_environment(account), "PYTHONUNBUFFERED": "1"}
    environment.pop("AWS_DATA_PATH", None)  # version 1, once imported here, names its own models there
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:

        def read() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                lines.put(line)

        reading = threading.Thread(target=read)
        reading.start()
        try:
            yield lines
        finally:
            process.kill()
            reading.join(WAIT_S)


def _next(lines: "Queue[str]") -> str:
    try:
        return lines.get(timeout=WAIT_S)
    except Empty:
        raise AssertionError(f"no line within {WAIT_S} s") from None


def test_tail_follow_prints_each_event_as_it_is_delivered(server: RunningServer, account: str) -> None:
    aws = _version_2()
    if aws is None:
        pytest.skip("no AWS CLI v2 here (Debian: apt-get install awscli); `logs tail` is not in v1")
    events, group = server.client("events", account), "/event/tail"
    server.client("logs", account).create_log_group(logGroupName=group)
    events.put_rule(Name="tail", EventPattern='{"source":["tail"]}')
    arn = f"arn:aws:logs:{REGION}:{account}:log-group:{group}"
    events.put_targets(Rule="tail", Targets=[{"Id": "log", "Arn": arn}])

    def put(number: int) -> None:
        entry = {"Source": "tail", "DetailType": "t", "Detail": json.dumps({"n": number})}
        assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0

    put(1)
    with _tail(aws, server, account, group, "--follow", "--since", "1h", "--format", "short") as lines:
        assert '"detail":{"n":1}' in _next(lines)
        for number in (2, 3):
            put(number)
            assert f'"detail":{{"n":{number}}}' in _next(lines), "in order, none twice, none missed"
