"""FilterLogEvents: a group's events through a filter, in pages of bounded work."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.logs.desk import GROUP, START_MS, STREAM, Desk, at_the_desk
from tocsin.doors.logs.search import BACKWARDS_SINCE_MS
from tocsin.model.errors import InvalidParameter, ResourceNotFoundException


async def search(desk: Desk, **members: Any) -> list[str]:
    pages = await desk.everything("FilterLogEvents", "events", logGroupName=GROUP, **members)
    return [event["message"] for page in pages for event in page]


def test_events_of_all_streams_come_in_the_order_of_time(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.group(GROUP, "a", "b")
        await desk.group("other", "a")
        await desk.put((0, "a0"), (2, "a2"), stream="a")
        await desk.put((1, "b1"), (2, "b2"), stream="b")
        await desk.put((1, "no"), group="other", stream="a")
        answer = await desk("FilterLogEvents", logGroupName=GROUP, interleaved=True)
        assert [(event["logStreamName"], event["message"]) for event in answer["events"]] == [
            ("a", "a0"),
            ("b", "b1"),
            ("a", "a2"),
            ("b", "b2"),
        ]
        assert answer["searchedLogStreams"] == []
        assert "nextToken" not in answer
        ids = [event["eventId"] for event in answer["events"]]
        assert ids == sorted(set(ids))
        assert all(len(one) == 56 and one.isdecimal() for one in ids)
        again = await desk("FilterLogEvents", logGroupName=GROUP, filterPattern="b2")
        assert [event["eventId"] for event in again["events"]] == ids[3:]

    at_the_desk(tmp_path, story)


def test_both_ends_of_the_time_are_within(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.group(GROUP, STREAM)
        await desk.put(*((at, str(at)) for at in range(5)))
        assert await search(desk, startTime=START_MS + 1, endTime=START_MS + 3) == ["1", "2", "3"]
        assert await search(desk, endTime=START_MS) == ["0"]
        assert await search(desk, startTime=START_MS + 5) == []
        assert await search(desk, endTime=0) == []

    at_the_desk(tmp_path, story)


def test_streams_are_chosen_by_name_or_by_prefix(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.group(GROUP, "a/1", "a/2", "b")
        for number, stream in enumerate(("a/1", "a/2", "b")):
            await desk.put((number, stream), stream=stream)
        assert await search(desk, logStreamNames=["b", "a/1"]) == ["a/1", "b"]
        assert await search(desk, logStreamNamePrefix="a/") == ["a/1", "a/2"]
        assert await search(desk, logStreamNamePrefix="x") == []
        with pytest.raises(InvalidParameter, match="mutually exclusive"):
            await search(desk, logStreamNames=["b"], logStreamNamePrefix="b")
        with pytest.raises(ResourceNotFoundException, match=r"^The specified log stream does not exist\.$"):
            await search(desk, logStreamNames=["b", "a/"])

    at_the_desk(tmp_path, story)


def test_health_events_are_found_as_hyperpod_users_look_for_them(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.group(GROUP, STREAM)
        found = '{"msg":"x","data: ":{"ErrNum":79},"HealthMonitoringAgentDetectionEvent":"HealthEvent"}'
        await desk.put((0, '{"msg":"fine"}'), (1, found), (2, "text: HealthEvent"))
        assert await search(desk, filterPattern='{ $.HealthMonitoringAgentDetectionEvent = "HealthEvent" }') == [found]
        assert await search(desk, filterPattern='{ $.["data: "].ErrNum = 79 }') == [found]
        assert await search(desk, filterPattern="HealthEvent -ErrNum") == ["text: HealthEvent"]
        with pytest.raises(InvalidParameter, match="Invalid filter pattern"):
            await search(desk, filterPattern='"open')

    at_the_desk(tmp_path, story)


def test_the_newest_come_first_when_asked_for(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.group(GROUP, STREAM)
        await desk.put(*((at, str(at)) for at in range(5)))
        assert await search(desk, startFromHead=False, limit=2) == ["4", "3", "2", "1", "0"]
        first = await desk("FilterLogEvents", logGroupName=GROUP, startFromHead=False, limit=2)
        second = await desk(
            "FilterLogEvents", logGroupName=GROUP, startFromHead=True, limit=2, nextToken=first["nextToken"]
        )
        assert [event["message"] for event in second["events"]] == ["2", "1"]  # the token's direction wins
        await search(desk, startFromHead=False, startTime=BACKWARDS_SINCE_MS)
        with pytest.raises(InvalidParameter, match="startFromHead"):
            await search(desk, startFromHead=False, startTime=BACKWARDS_SINCE_MS - 1)

    at_the_desk(tmp_path, story)


def test_a_search_does_a_bounded_piece_of_work_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.doors.logs.search.LOOKED_AT_EVENTS_MAX", 20)
    monkeypatch.setattr("tocsin.doors.logs.search.BITE_EVENTS", 7)

    async def story(desk: Desk) -> None:
        await desk.group(GROUP, STREAM)
        await desk.put(*((at, f"{at} {'needle' if at in (5, 45) else 'hay'}") for at in range(50)))
        pages = await desk.everything("FilterLogEvents", "events", logGroupName=GROUP, filterPattern="needle")
        assert [[event["message"] for event in page] for page in pages] == [["5 needle"], [], ["45 needle"]]

    at_the_desk(tmp_path, story)


def test_a_page_holds_a_megabyte(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.group(GROUP, STREAM)
        for at in range(5):
            await desk.put((at, f"{at}{'x' * 400_000}"))
        pages = await desk.everything("FilterLogEvents", "events", logGroupName=GROUP)
        assert [[event["message"][0] for event in page] for page in pages] == [["0", "1"], ["2", "3"], ["4"]]

    at_the_desk(tmp_path, story)


EVENTS = st.lists(st.tuples(st.integers(0, 5), st.sampled_from("ab"), st.sampled_from(["hit", "miss"])), max_size=14)


@settings(max_examples=40, deadline=None)
@given(EVENTS, st.integers(1, 4), st.integers(1, 5), st.booleans(), st.sampled_from(["", "hit", "none"]))
def test_pages_are_the_search(
    events: list[tuple[int, str, str]], limit: int, bite: int, from_head: bool, pattern: str
) -> None:
    """However small the pages and the bites: what fits, in order, once."""

    async def story(desk: Desk) -> None:
        await desk.group(GROUP, "a", "b")
        written: list[tuple[int, int, str]] = []
        for number, (at, stream, word) in enumerate(events):
            await desk.put((at, f"{number} {word}"), stream=stream)
            written.append((at, number, f"{number} {word}"))
        expected = [message for _, _, message in sorted(written) if pattern in message]
        found = await search(desk, limit=limit, startFromHead=from_head, filterPattern=pattern)
        assert found == (expected if from_head else expected[::-1])

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("tocsin.doors.logs.search.BITE_EVENTS", bite)
        at_the_desk(Path(folder), story)


def test_a_tail_that_asks_again_from_the_same_start_misses_nothing_late(tmp_path: Path) -> None:
    """What `aws logs tail --follow` does: read to the end, then again from the newest time seen, known ids left out."""

    async def story(desk: Desk) -> None:
        await desk.group(GROUP, "a", "b")
        shown: list[str] = []
        known: set[str] = set()
        start = START_MS
        for round_ in range(4):
            # Both streams write into the same millisecond, one of them late.
            await desk.put((10 * round_, f"a{round_}"), (10 * round_ + 9, f"a{round_}+"), stream="a")
            if round_:
                await desk.put((10 * round_ - 1, f"late{round_}"), stream="b")
            token = None
            while True:
                page = await desk(
                    "FilterLogEvents", logGroupName=GROUP, interleaved=True, startTime=start, limit=2, nextToken=token
                )
                for event in page["events"]:
                    if event["eventId"] not in known:
                        known.add(event["eventId"])
                        shown.append(event["message"])
                        start = max(start, event["timestamp"])
                token = page.get("nextToken")
                if token is None:
                    break
        assert sorted(shown) == sorted(
            [f"a{n}" for n in range(4)] + [f"a{n}+" for n in range(4)] + [f"late{n}" for n in range(1, 4)]
        )

    at_the_desk(tmp_path, story)
