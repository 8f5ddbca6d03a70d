"""Ids out of pages of random bytes: none comes twice, and each is a UUID of its version."""

import uuid

from tocsin.server.chance import PAGE_BYTES, Chance


def test_no_id_comes_twice_across_pages() -> None:
    chance = Chance()
    events = [chance.event_id(1_700_000_000_000) for _ in range(PAGE_BYTES // 4)]
    requests = [chance.request_id() for _ in range(PAGE_BYTES // 4)]
    assert len({*events, *requests}) == PAGE_BYTES // 2
    assert {uuid.UUID(one).version for one in events} == {7}
    assert {uuid.UUID(one).version for one in requests} == {4}


def test_event_ids_follow_the_time() -> None:
    chance = Chance()
    ids = [chance.event_id(now_ms) for now_ms in range(1_700_000_000_000, 1_700_000_000_500)]
    assert ids == sorted(ids)
