"""CloudWatch Logs as unmodified clients use it: boto3 and the AWS CLI against a real server."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness import REGION, RunningServer

GROUP = "/aws/sagemaker/Clusters/training/abcdefghijkl"
STREAM = "LifecycleConfig/workers/i-0123456789abcdef0"


@pytest.fixture
def logs(server: RunningServer, account: str) -> Any:
    client = server.client("logs", account)
    client.create_log_group(logGroupName=GROUP, tags={"team": "research"})
    client.create_log_stream(logGroupName=GROUP, logStreamName=STREAM)
    return client


def write(client: Any, *messages: str, stream: str = STREAM) -> int:
    """Write messages of now; the time they were given."""
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": message} for message in messages]
    answer = client.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=events)
    assert "rejectedLogEventsInfo" not in answer
    return now


def test_boto3_writes_lists_and_reads(logs: Any, account: str) -> None:
    written = [f"line {number} ünï" for number in range(25)]
    at = write(logs, *written)
    [group] = logs.describe_log_groups(logGroupNamePrefix="/aws/sagemaker/")["logGroups"]
    assert group["arn"] == f"arn:aws:logs:{REGION}:{account}:log-group:{GROUP}:*"
    assert group["storedBytes"] == sum(len(message.encode()) + 26 for message in written)
    assert "retentionInDays" not in group
    [stream] = logs.describe_log_streams(logGroupIdentifier=group["logGroupArn"])["logStreams"]
    assert (stream["logStreamName"], stream["lastEventTimestamp"]) == (STREAM, at)
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=GROUP, PaginationConfig={"PageSize": 10})
    assert [event["message"] for page in pages for event in page["events"]] == written

    seen: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = logs.get_log_events(logGroupName=GROUP, logStreamName=STREAM, startFromHead=True, limit=10, **token)
        seen += [event["message"] for event in page["events"]]
        if page["nextForwardToken"] == token.get("nextToken"):
            break
        token = {"nextToken": page["nextForwardToken"]}
    assert seen == written


def test_boto3_pages_through_everything_listed(logs: Any) -> None:
    for number in range(4):
        logs.create_log_stream(logGroupName=GROUP, logStreamName=f"s{number}")
        logs.create_log_group(logGroupName=f"g{number}")
        logs.put_resource_policy(policyName=f"p{number}", policyDocument='{"Version":"2012-10-17","Statement":[]}')
    size = {"PageSize": 2}
    groups = logs.get_paginator("describe_log_groups").paginate(PaginationConfig=size).build_full_result()
    streams = logs.get_paginator("describe_log_streams").paginate(
        logGroupName=GROUP, orderBy="LastEventTime", descending=True, PaginationConfig=size
    )
    policies = logs.get_paginator("describe_resource_policies").paginate(PaginationConfig=size).build_full_result()
    assert len(groups["logGroups"]) == 5
    assert len(streams.build_full_result()["logStreams"]) == 5
    assert [policy["policyName"] for policy in policies["resourcePolicies"]] == ["p0", "p1", "p2", "p3"]


def test_boto3_sees_the_errors_of_aws(logs: Any) -> None:
    errors = logs.exceptions
    with pytest.raises(errors.ResourceAlreadyExistsException, match=r"The specified log group already exists$"):
        logs.create_log_group(logGroupName=GROUP)
    with pytest.raises(errors.ResourceNotFoundException, match=r"The specified log stream does not exist\.$"):
        logs.get_log_events(logGroupName=GROUP, logStreamName="none")
    with pytest.raises(errors.InvalidParameterException, match=r"The specified nextToken is invalid\.$"):
        logs.filter_log_events(logGroupName=GROUP, nextToken="none")
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": "x"}, {"timestamp": now - 1, "message": "x"}]
    with pytest.raises(errors.InvalidParameterException, match="chronological order"):
        logs.put_log_events(logGroupName=GROUP, logStreamName=STREAM, logEvents=events)
    with pytest.raises(errors.InvalidParameterException, match=r"Value '10001' at 'limit' failed"):
        logs.filter_log_events(logGroupName=GROUP, limit=10001)
    logs.delete_log_group(logGroupName=GROUP)
    with pytest.raises(errors.ResourceNotFoundException, match=r"The specified log group does not exist\.$"):
        logs.delete_log_group(logGroupName=GROUP)


def test_the_cli_finds_health_events(server: RunningServer, account: str, logs: Any) -> None:
    found = '{"msg":"DCGM","data: ":{"ErrNum":79},"HealthMonitoringAgentDetectionEvent":"HealthEvent"}'
    write(logs, '{"msg":"fine"}', found)
    pattern = '{ $.HealthMonitoringAgentDetectionEvent = "HealthEvent" }'
    done = server.cli(
        "logs", "filter-log-events", "--log-group-name", GROUP, "--filter-pattern", pattern, account=account
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert [event["message"] for event in answer["events"]] == [found]
    assert answer["searchedLogStreams"] == []
    done = server.cli(
        "logs", "filter-log-events", "--log-group-name", GROUP, "--filter-pattern", '"open', account=account
    )
    assert done.returncode != 0
    assert (
        "(InvalidParameterException) when calling the FilterLogEvents operation: Invalid filter pattern" in done.stderr
    )


def follow(client: Any) -> Iterator[list[str]]:
    """What `aws logs tail --follow` of the AWS CLI v2 does between two of its pauses: everything new, by event id."""
    ask: dict[str, Any] = {"logGroupName": GROUP, "interleaved": True, "startTime": int(time.time() * 1000) - 60_000}
    shown: dict[int, set[str]] = {}
    while True:
        news: list[str] = []
        while True:
            page = client.filter_log_events(**ask)
            for event in page["events"]:
                ids = shown.setdefault(event["timestamp"], set())
                if event["eventId"] not in ids:
                    ids.add(event["eventId"])
                    news.append(event["message"])
            if "nextToken" not in page:
                break
            ask["nextToken"] = page["nextToken"]
        ask.pop("nextToken", None)
        if shown:
            ask["startTime"] = max(shown)
            shown = {max(shown): shown[max(shown)]}
        yield news


def test_a_follower_sees_every_line_once(logs: Any) -> None:
    logs.create_log_stream(logGroupName=GROUP, logStreamName="other")
    follower = follow(logs)
    assert next(follower) == []
    for number in range(5):
        write(logs, f"a{number}", f"b{number}")
        write(logs, f"c{number}", stream="other")
        assert next(follower) == [f"a{number}", f"b{number}", f"c{number}"]
        assert next(follower) == []
