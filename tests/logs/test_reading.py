"""GetLogEvents: pages forwards and backwards, and tokens that never end."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.logs.desk import GROUP, START_MS, STREAM, Desk, at_the_desk
from tocsin.model.errors import InvalidParameter, ResourceNotFoundException


async def get(desk: Desk, **members: Any) -> dict[str, Any]:
    return await desk("GetLogEvents", logGroupName=GROUP, logStreamName=STREAM, **members)


def messages(answer: dict[str, Any]) -> list[str]:
    return [event["message"] for event in answer["events"]]


async def through(desk: Desk, token: str | None, way: str, **members: Any) -> tuple[list[list[str]], str]:
    """All pages from a token on, until it comes back, and that token."""
    pages: list[list[str]] = []
    while True:
        answer = await get(desk, nextToken=token, **members)
        following: str = answer[way]
        if following == token:
            assert answer["events"] == []
            return pages, following
        pages.append(messages(answer))
        token = following


def test_the_newest_page_comes_first_and_in_the_order_of_time(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.group(GROUP, STREAM, "other")
        await desk.put(*((at, str(at)) for at in range(5)))
        await desk.put((2, "not mine"), stream="other")
        assert messages(await get(desk, limit=2)) == ["3", "4"]
        assert messages(await get(desk, limit=2, startFromHead=False)) == ["3", "4"]
        assert messages(await get(desk, limit=2, startFromHead=True)) == ["0", "1"]

    at_the_desk(tmp_path, story)


def test_start_is_within_and_end_is_not(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.group(GROUP, STREAM)
        await desk.put(*((at, str(at)) for at in range(5)))
        assert messages(await get(desk, startTime=START_MS + 1, endTime=START_MS + 3)) == ["1", "2"]
        assert messages(await get(desk, startTime=START_MS + 4)) == ["4"]
        assert messages(await get(desk, endTime=START_MS)) == []

    at_the_desk(tmp_path, story)


def test_the_same_token_comes_back_at_the_end_and_works_again(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.group(GROUP, STREAM)
        await desk.put((0, "a"), (1, "b"))
        page = await get(desk, startFromHead=True)
        token = page["nextForwardToken"]
        assert token.startswith("f/")
        assert page["nextBackwardToken"].startswith("b/")
        for _ in range(3):
            end = await get(desk, nextToken=token, startFromHead=True)
            assert (messages(end), end["nextForwardToken"]) == ([], token)
        assert messages(await get(desk, nextToken=end["nextBackwardToken"])) == ["a", "b"]
        await desk.put((1, "same millisecond"), (9, "c"))
        assert messages(await get(desk, nextToken=token)) == ["same millisecond", "c"]

    at_the_desk(tmp_path, story)


@pytest.mark.parametrize("from_head", [True, False])
def test_the_tokens_of_an_empty_stream_see_what_comes(tmp_path: Path, from_head: bool) -> None:
    async def story(desk: Desk) -> None:
        await desk.group(GROUP, STREAM)
        page = await get(desk, startFromHead=from_head)
        forward, backward = page["nextForwardToken"], page["nextBackwardToken"]
        assert (await get(desk, nextToken=forward))["nextForwardToken"] == forward
        assert (await get(desk, nextToken=backward))["nextBackwardToken"] == backward
        await desk.put((0, "a"))
        assert messages(await get(desk, nextToken=forward)) == ["a"]

    at_the_desk(tmp_path, story)


def test_a_page_holds_a_megabyte(tmp_path: Path) -> None:
    big = "x" * 400_000

    async def story(desk: Desk) -> None:
        await desk.group(GROUP, STREAM)
        for at in range(5):
            await desk.put((at, f"{at}{big}"))
        await desk.put((5, "5" + "x" * 1_048_000))
        pages, _ = await through(desk, None, "nextForwardToken", startFromHead=True)
        assert [[message[0] for message in page] for page in pages] == [["0", "1"], ["2", "3"], ["4"], ["5"]]
        pages, _ = await through(desk, None, "nextBackwardToken")
        assert [[message[0] for message in page] for page in pages] == [["5"], ["3", "4"], ["1", "2"], ["0"]]

    at_the_desk(tmp_path, story)


def test_a_stream_must_exist_and_a_token_must_be_one(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.group()
        with pytest.raises(ResourceNotFoundException, match=r"^The specified log stream does not exist\.$"):
            await get(desk)
        await desk("CreateLogStream", logGroupName=GROUP, logStreamName=STREAM)
        forward = (await get(desk))["nextForwardToken"]
        for token in ("none", "f/", forward[2:], forward + "A", "b/" + forward[3:], "f/" + forward):
            with pytest.raises(InvalidParameter, match=r"^The specified nextToken is invalid\.$"):
                await get(desk, nextToken=token)

    at_the_desk(tmp_path, story)


EVENTS = st.lists(st.integers(0, 6), max_size=12)


@settings(max_examples=40, deadline=None)
@given(EVENTS, EVENTS, st.integers(1, 5), st.booleans(), st.booleans())
def test_pages_are_the_stream(first: list[int], later: list[int], limit: int, from_head: bool, turn: bool) -> None:
    """Forward pages are all events in order, backward pages the same reversed; nothing twice, nothing lost, and what
    is written behind the last page comes with the next. From any page one can turn around."""

    async def story(desk: Desk) -> None:
        await desk.group(GROUP, STREAM)
        times = sorted(first)
        if times:
            await desk.put(*((at, f"{number}") for number, at in enumerate(times)))
        written = [f"{number}" for number in range(len(times))]
        forward, token = await through(desk, None, "nextForwardToken", limit=limit, startFromHead=True)
        assert [message for page in forward for message in page] == written
        backward, back = await through(desk, None, "nextBackwardToken", limit=limit)
        assert [message for page in reversed(backward) for message in page] == written
        if turn and written:
            page = await get(desk, limit=limit, startFromHead=from_head)
            around = await get(desk, nextToken=page["nextForwardToken"], limit=100)
            before = await get(desk, nextToken=page["nextBackwardToken"], limit=100)
            assert messages(before) + messages(page) + messages(around) == written
        more = sorted(at + 6 for at in later)  # from the last millisecond on
        if more:
            await desk.put(*((at, f"+{number}") for number, at in enumerate(more)))
        news, _ = await through(desk, token, "nextForwardToken", limit=limit)
        assert [message for page in news for message in page] == [f"+{number}" for number in range(len(more))]
        assert (await through(desk, back, "nextBackwardToken", limit=limit))[0] == []

    with tempfile.TemporaryDirectory() as folder:
        at_the_desk(Path(folder), story)


def test_readers_and_a_writer_at_once_lose_nothing(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.group(GROUP, STREAM)
        written = [f"{number}" for number in range(60)]

        async def write() -> None:
            for number, message in enumerate(written):
                await desk.put((number // 3, message))

        async def read() -> list[str]:
            seen: list[str] = []
            token = None
            while len(seen) < len(written):
                answer = await get(desk, nextToken=token, limit=4, startFromHead=True)
                seen += messages(answer)
                token = answer["nextForwardToken"]
                await asyncio.sleep(0)  # a read of the store may never give up its turn
            return seen

        _, *readings = await asyncio.gather(write(), read(), read())
        assert readings == [written, written]

    at_the_desk(tmp_path, story)
