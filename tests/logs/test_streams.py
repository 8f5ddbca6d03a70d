"""Log streams: made, deleted, listed in three orders."""

from pathlib import Path

import pytest

from tests.logs.desk import GROUP, HERE, START_MS, STREAM, Desk, at_the_desk
from tocsin.model.errors import InvalidParameter, ResourceAlreadyExists, ResourceNotFoundException, Validation
from tocsin.model.names import Scope, log_group_arn

ARN = log_group_arn(HERE, GROUP)


def test_a_stream_is_described_as_on_aws(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.group(GROUP, STREAM)
        empty = {
            "logStreamName": STREAM,
            "creationTime": START_MS,
            "firstEventTimestamp": None,
            "lastEventTimestamp": None,
            "lastIngestionTime": None,
            "uploadSequenceToken": None,
            "arn": f"{ARN}:log-stream:{STREAM}",
            "storedBytes": 0,
        }
        assert (await desk("DescribeLogStreams", logGroupName=GROUP))["logStreams"] == [empty]
        desk.later(seconds=5)
        token = (await desk.put((1000, "a"), (3000, "b")))["nextSequenceToken"]
        assert (await desk("DescribeLogStreams", logGroupIdentifier=ARN))["logStreams"] == [
            empty
            | {
                "firstEventTimestamp": START_MS + 1000,
                "lastEventTimestamp": START_MS + 3000,
                "lastIngestionTime": START_MS + 5000,
                "uploadSequenceToken": token,
            }
        ]

    at_the_desk(tmp_path, story)


def test_a_name_is_taken_once_in_its_group(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.group(GROUP, STREAM + "-longer", STREAM)
        await desk.group("other", STREAM)
        with pytest.raises(ResourceAlreadyExists, match=r"^The specified log stream already exists$"):
            await desk("CreateLogStream", logGroupName=GROUP, logStreamName=STREAM)

    at_the_desk(tmp_path, story)


def test_a_deleted_stream_takes_its_events_along(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.group(GROUP, STREAM, "two")
        await desk.put((0, "gone"))
        await desk.put((0, "kept"), stream="two")
        await desk("DeleteLogStream", logGroupName=GROUP, logStreamName=STREAM)
        events = (await desk("FilterLogEvents", logGroupName=GROUP))["events"]
        assert [event["message"] for event in events] == ["kept"]
        with pytest.raises(ResourceNotFoundException, match=r"^The specified log stream does not exist\.$"):
            await desk("DeleteLogStream", logGroupName=GROUP, logStreamName=STREAM)

    at_the_desk(tmp_path, story)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, ["a", "b", "c", "d", "e"]),
        ({"descending": True}, ["e", "d", "c", "b", "a"]),
        ({"orderBy": "LastEventTime"}, ["a", "e", "d", "c", "b"]),
        ({"orderBy": "LastEventTime", "descending": True}, ["b", "c", "d", "e", "a"]),
        ({"logStreamNamePrefix": "d"}, ["d"]),
        ({"logStreamNamePrefix": "d", "descending": True}, ["d"]),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 5, None])
def test_streams_come_in_pages_in_the_order_asked_for(
    tmp_path: Path, members: dict[str, object], expected: list[str], limit: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.doors.logs.streams.STREAMS_BITE", 2)

    async def story(desk: Desk) -> None:
        await desk.group(GROUP, *"edcba")
        for at, name in enumerate("edcb"):  # a has no event, and so comes before all others
            await desk.put((at // 2, "x"), (1000 * at, "x"), stream=name)
        pages = await desk.everything("DescribeLogStreams", "logStreams", logGroupName=GROUP, limit=limit, **members)
        assert [stream["logStreamName"] for page in pages for stream in page] == expected
        assert all(len(page) <= (limit or 50) for page in pages)
        assert len(pages) == -(-len(expected) // (limit or 50))

    at_the_desk(tmp_path, story)


def test_a_prefix_and_the_order_of_time_exclude_each_other(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        text = r"^Cannot order by LastEventTime with a logStreamNamePrefix\.$"
        with pytest.raises(InvalidParameter, match=text):
            await desk("DescribeLogStreams", logGroupName=GROUP, orderBy="LastEventTime", logStreamNamePrefix="a")

    at_the_desk(tmp_path, story)


def test_a_token_of_one_order_is_none_of_another(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.group(GROUP, "a", "b")
        token = (await desk("DescribeLogStreams", logGroupName=GROUP, limit=1))["nextToken"]
        with pytest.raises(InvalidParameter, match="nextToken"):
            await desk("DescribeLogStreams", logGroupName=GROUP, descending=True, nextToken=token)

    at_the_desk(tmp_path, story)


@pytest.mark.parametrize("operation", ["DescribeLogStreams", "FilterLogEvents", "GetLogEvents"])
def test_a_group_is_named_by_its_name_or_its_identifier_and_not_both(tmp_path: Path, operation: str) -> None:
    more = {"logStreamName": STREAM} if operation == "GetLogEvents" else {}

    async def story(desk: Desk) -> None:
        await desk.group(GROUP, STREAM)
        for identifier in (GROUP, ARN, f"{ARN}:*"):
            await desk(operation, logGroupIdentifier=identifier, **more)
        text = r"^LogGroup name and LogGroup ARN are mutually exclusive parameters\.$"
        with pytest.raises(Validation, match=text):
            await desk(operation, logGroupName=GROUP, logGroupIdentifier=ARN, **more)
        with pytest.raises(Validation):
            await desk(operation, **more)
        with pytest.raises(InvalidParameter):
            await desk(operation, logGroupIdentifier="arn:aws:events:us-west-2:111122223333:rule/x", **more)
        for unknown in ("none", log_group_arn(Scope("999999999999", "us-west-2"), GROUP)):
            with pytest.raises(ResourceNotFoundException, match=r"^The specified log group does not exist\.$"):
                await desk(operation, logGroupIdentifier=unknown, **more)

    at_the_desk(tmp_path, story)
