"""PutLogEvents: what is taken, what is rejected, what is refused."""

from pathlib import Path

import pytest

from tests.logs.desk import GROUP, START_MS, STREAM, Desk, at_the_desk
from tocsin.doors.logs.writing import check_batch, judge_batch
from tocsin.model.errors import InvalidParameter, ResourceNotFoundException
from tocsin.model.logs import LogLine

HOUR, DAY = 3600 * 1000, 24 * 3600 * 1000


def lines(*times: int) -> list[LogLine]:
    return [LogLine(time, "x") for time in times]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.group(GROUP, STREAM)
        desk.later(milliseconds=7)
        answer = await desk.put((0, "first"), (0, "same time"), (5, '{"ünï": "cødé \\u0000 \x00 \U0001f514"}'))
        assert list(answer) == ["nextSequenceToken"]
        assert (await desk("GetLogEvents", logGroupName=GROUP, logStreamName=STREAM))["events"] == [
            {"timestamp": START_MS, "message": "first", "ingestionTime": START_MS + 7},
            {"timestamp": START_MS, "message": "same time", "ingestionTime": START_MS + 7},
            {
                "timestamp": START_MS + 5,
                "message": '{"ünï": "cødé \\u0000 \x00 \U0001f514"}',
                "ingestionTime": START_MS + 7,
            },
        ]

    at_the_desk(tmp_path, story)


def test_a_batch_needs_its_group_and_its_stream(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        with pytest.raises(ResourceNotFoundException, match=r"^The specified log group does not exist\.$"):
            await desk.put((0, "x"))
        await desk.group(GROUP, STREAM + "-longer")
        with pytest.raises(ResourceNotFoundException, match=r"^The specified log stream does not exist\.$"):
            await desk.put((0, "x"))

    at_the_desk(tmp_path, story)


def test_events_out_of_time_are_rejected_beside_the_others(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.group(GROUP, STREAM)
        answer = await desk.put((-15 * DAY, "too old"), (0, "taken"), (1, "too"), (3 * HOUR, "too new"))
        assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1, "tooNewLogEventStartIndex": 3}
        events = (await desk("FilterLogEvents", logGroupName=GROUP))["events"]
        assert [event["message"] for event in events] == ["taken", "too"]

    at_the_desk(tmp_path, story)


def test_events_past_the_retention_are_expired(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.group(GROUP, STREAM)
        await desk("PutRetentionPolicy", logGroupName=GROUP, retentionInDays=1)
        answer = await desk.put((-3 * DAY, "expired"), (-2 * DAY, "expired"), (0, "taken"))
        assert answer["rejectedLogEventsInfo"] == {"expiredLogEventEndIndex": 2}
        await desk.put((-2 * DAY, "all expired"))
        events = (await desk("FilterLogEvents", logGroupName=GROUP))["events"]
        assert [event["message"] for event in events] == ["taken"]

    at_the_desk(tmp_path, story)


NOW = 100 * DAY
OLD, EXPIRED, NEW = "tooOldLogEventEndIndex", "expiredLogEventEndIndex", "tooNewLogEventStartIndex"
# times, days of retention, how many are taken, what is said of the others
JUDGED = {
    "all in time": ((NOW - HOUR, NOW), 0, 2, None),
    "14 days are not too old, a millisecond more is": ((NOW - 14 * DAY - 1, NOW - 14 * DAY), 0, 1, {OLD: 1}),
    "2 hours are not too new, a millisecond more is": ((NOW + 2 * HOUR, NOW + 2 * HOUR + 1), 0, 1, {NEW: 1}),
    "a day of retention": ((NOW - DAY - 1, NOW - DAY), 1, 1, {EXPIRED: 1}),
    "too old and expired": ((NOW - 15 * DAY, NOW - 2 * DAY, NOW), 1, 1, {OLD: 1, EXPIRED: 2}),
    "all too new": ((NOW + DAY,), 0, 0, {NEW: 0}),
    "all too old": ((0, 1), 0, 0, {OLD: 2}),
    "a day of span": ((NOW - DAY, NOW), 0, 2, None),
    "the span counts what is taken": ((NOW - 20 * DAY, NOW, NOW + 5 * DAY), 0, 1, {OLD: 1, NEW: 2}),
}


@pytest.mark.parametrize(("times", "retention", "taken", "rejected"), JUDGED.values(), ids=JUDGED)
def test_a_batch_is_judged(times: tuple[int, ...], retention: int, taken: int, rejected: dict[str, int] | None) -> None:
    verdict = judge_batch(lines(*times), NOW, retention)
    assert (len(verdict.lines), verdict.rejected()) == (taken, rejected)


def test_a_batch_spans_a_day_at_most() -> None:
    text = r"^The batch of log events in a single PutLogEvents request cannot span more than 24 hours\.$"
    with pytest.raises(InvalidParameter, match=text):
        judge_batch(lines(NOW - DAY - 1, NOW), NOW, 0)


def test_a_batch_is_in_the_order_of_time() -> None:
    check_batch(lines(1, 1, 2))
    text = r"^Log events in a single PutLogEvents request must be in chronological order\.$"
    with pytest.raises(InvalidParameter, match=text):
        check_batch(lines(1, 3, 2))


def test_bytes_count_as_on_aws() -> None:
    check_batch([LogLine(0, "x" * (1_048_576 - 26))])
    with pytest.raises(InvalidParameter, match=r"^Log event too large: 1048577 bytes exceeds limit of 1048576$"):
        check_batch([LogLine(0, "x" * (1_048_576 - 25))])
    half = "ä" * ((524_288 - 26) // 2)
    check_batch([LogLine(0, half), LogLine(0, half)])
    with pytest.raises(InvalidParameter, match=r"^Upload too large: 1048603 bytes exceeds limit of 1048576$"):
        check_batch([LogLine(0, half), LogLine(0, half), LogLine(0, "x")])
