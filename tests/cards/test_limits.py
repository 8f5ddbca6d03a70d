"""Laws of cards: whatever was published, each vendor is sent what it takes."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tocsin.core.cards import Card, Hints, Tone, chime, digest, in_a_line, read_card, slack, teams
from tocsin.core.cards.card import Fact, Link
from tocsin.core.cards.cutting import CUT, fitted, listed
from tocsin.core.cards.slack import escaped
from tocsin.model.chat import HeldPost
from tocsin.model.names import Scope

HERE = Path(__file__).parent
SLACK = jsonschema.Draft202012Validator(json.loads((HERE / "slack.schema.json").read_text()))
TEAMS = jsonschema.Draft202012Validator(json.loads((HERE / "teams.schema.json").read_text()))
TEAMS_BYTES = 28_000  # "28 KB", and what they mean by it is not said: the smaller reading
CHIME_CHARS = 4096
# An & that begins no entity, a < or > that belongs to no link.
RAW = re.compile(r"&(?!amp;|lt;|gt;)|<(?!https?://[^<>\s|]+(?:\|[^<>]*)?>)")

LAW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
SPECIAL = st.sampled_from(["&", "<", ">", "&amp;", "```", "<!channel>", "*", "_", "\n", "🔥", "\x00", "\ud800", " "])
SHORT = st.text(max_size=40) | SPECIAL
LONG = st.builds(lambda text, times: text * times, st.text(min_size=1, max_size=8) | SPECIAL, st.integers(0, 6000))
TEXTS = SHORT | LONG
MANY = st.builds(lambda item, times: (item,) * times, TEXTS, st.integers(0, 60))
URLS = st.builds(lambda tail: f"https://console.example/{tail}", st.text("ab/?=", max_size=4000))
CARDS = st.builds(
    Card,
    tone=st.sampled_from(Tone),
    title=TEXTS,
    summary=TEXTS,
    text=TEXTS,
    markdown=TEXTS,
    facts=st.lists(st.builds(Fact, TEXTS, TEXTS), max_size=15).map(tuple),
    lines=MANY,
    steps=MANY,
    keywords=MANY,
    code=TEXTS,
    command=TEXTS,
    links=st.lists(st.builds(Link, TEXTS, URLS), max_size=8).map(tuple),
    footer=TEXTS,
)
HELD = st.builds(
    HeldPost,
    scope=st.just(Scope("111122223333", "")),
    configuration=st.just("slack-channel/a"),
    topic_arn=st.just("arn"),
    place=st.integers(1, 10**9),
    at_ms=st.integers(0, 2**41),
    line=CARDS.map(in_a_line),
    tone=st.sampled_from(list(Tone)),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | SHORT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SHORT, inner, max_size=4),
    max_leaves=12,
)
KNOWN = st.sampled_from(
    ["ClusterName", "ClusterStatus", "InstanceGroups", "HealthSummary", "HealthStatusReason", "EventDetails",
     "Description", "EventLevel", "InstanceId", "Orchestrator", "FailureMessages", "content", "metadata"]
)  # fmt: skip
KINDS = st.sampled_from(
    ["SageMaker HyperPod Cluster State Change", "SageMaker HyperPod Cluster Node Health Event",
     "SageMaker HyperPod Cluster Event", "Anything Else"]
)  # fmt: skip
EVENTS = st.builds(
    lambda kind, detail, rest: json.dumps({**rest, "detail-type": kind, "detail": detail}),
    KINDS,
    st.dictionaries(KNOWN, JSON | st.dictionaries(KNOWN, JSON, max_size=5), max_size=8) | JSON,
    st.dictionaries(st.sampled_from(["account", "region", "time", "source", "resources"]), JSON),
)


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value


def check_slack(card: Card) -> None:
    body = slack(card)
    SLACK.validate(body)
    for block in body["attachments"][0]["blocks"]:
        for text in texts({name: part for name, part in block.items() if name != "elements"}):
            assert not RAW.search(text), text
    json.dumps(body, ensure_ascii=False).encode()


def check_teams(card: Card) -> None:
    body = teams(card)
    TEAMS.validate(body)
    assert len(json.dumps(body, ensure_ascii=False).encode()) <= TEAMS_BYTES


def check_chime(card: Card) -> None:
    content = chime(card)["Content"]
    assert content.startswith("/md ")
    assert len(content) <= CHIME_CHARS
    content.encode()


@LAW
@given(CARDS)
def test_no_card_gets_beyond_slacks_limits_or_escapes(card: Card) -> None:
    check_slack(card)


@LAW
@given(CARDS)
def test_no_card_gets_beyond_teams_limits(card: Card) -> None:
    check_teams(card)


@LAW
@given(CARDS)
def test_no_card_gets_beyond_chimes_limit(card: Card) -> None:
    check_chime(card)


@LAW
@given(EVENTS | JSON.map(json.dumps) | TEXTS, TEXTS)
def test_whatever_is_published_has_a_card_in_every_chat(text: str, subject: str) -> None:
    card = read_card(text, Hints(topic="t", subject=subject, console_link="https://console.example/{cluster}"))
    check_slack(card)
    check_teams(card)
    check_chime(card)


@LAW
@given(st.lists(HELD, min_size=1, max_size=40), st.integers(1, 25), st.integers(0, 1000))
def test_a_digest_of_whatever_was_held_has_a_card_in_every_chat(held: list[HeldPost], times: int, more: int) -> None:
    card = digest(held * times, more)
    assert card.title == f"{len(held) * times} more messages"
    assert len(card.lines) == len(held) * times
    check_slack(card)
    check_teams(card)
    check_chime(card)


@pytest.mark.parametrize(
    "text",
    ['{"a":' * 50_000, "[" * 50_000 + "]" * 50_000, '{"detail-type": "x", "detail": ' + "[" * 900 + "]" * 900 + "}"],
)
def test_a_bomb_of_brackets_is_only_a_text(text: str) -> None:
    card = read_card(text, Hints(topic="t"))
    check_slack(card)
    check_teams(card)


@LAW
@given(TEXTS, st.integers(1, 500))
def test_what_fits_is_whole_and_what_does_not_ends_in_an_ellipsis(text: str, most: int) -> None:
    found = fitted(text, most, escaped)
    assert len(found) <= most
    assert not RAW.search(found)
    if len(escaped(text)) > most:
        assert found.endswith(CUT)


@LAW
@given(st.lists(st.text(max_size=30), max_size=60), st.integers(40, 600))
def test_items_without_room_are_counted(items: list[str], most: int) -> None:
    items = [item.replace("\n", " ") for item in items]
    lines = listed(items, "- ", most).split("\n") if items else []
    assert len("\n".join(lines)) <= most
    shown = [line for line in lines if line.startswith("- ")]
    left = re.fullmatch(rf"{CUT} and (\d+) more", lines[-1]) if lines else None
    assert len(shown) + (int(left[1]) if left else 0) == len(items)
