"""Delivery policies: the four phases of trying again, whose policy counts, and what is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.core.topics.retries import GROWTH, RetrySchedule, check_delivery, check_topic_delivery, retry_schedule
from tocsin.model.names import Scope
from tocsin.model.topic import Subscription, Topic
from tocsin.model.topic_errors import InvalidParameter

SCOPE = Scope("111122223333", "us-west-2")


def topic(**http: Any) -> Topic:
    attributes = {"DeliveryPolicy": json.dumps({"http": http})} if http else {}
    return Topic(scope=SCOPE, name="t", created_ms=0, attributes=attributes)


def subscription(**policy: Any) -> Subscription:
    attributes = {"DeliveryPolicy": json.dumps(policy)} if policy else {}
    return Subscription(
        scope=SCOPE,
        topic="t",
        id="s",
        protocol="http",
        endpoint="http://127.0.0.1",
        token="",
        token_ms=0,
        created_ms=0,
        attributes=attributes,
    )


def delays(schedule: RetrySchedule) -> list[float]:
    return [schedule.delay_s(retry) for retry in range(schedule.retries)]


def test_by_default_three_retries_twenty_seconds_apart() -> None:
    assert delays(retry_schedule(topic(), subscription())) == [20, 20, 20]


def test_the_phases_follow_each_other() -> None:
    policy = {
        "numRetries": 8,
        "numNoDelayRetries": 2,
        "numMinDelayRetries": 1,
        "numMaxDelayRetries": 2,
        "minDelayTarget": 10,
        "maxDelayTarget": 40,
    }
    found = delays(retry_schedule(topic(), subscription(healthyRetryPolicy=policy)))
    assert found == [0, 0, 10, 20, 30, 40, 40, 40]


def test_the_subscription_overrides_the_topic_unless_it_may_not() -> None:
    loud = {"numRetries": 1}
    of_topic = {"defaultHealthyRetryPolicy": {"numRetries": 5}}
    assert retry_schedule(topic(**of_topic), subscription()).retries == 5
    assert retry_schedule(topic(**of_topic), subscription(healthyRetryPolicy=loud)).retries == 1
    strict = topic(**of_topic, disableSubscriptionOverrides=True)
    assert retry_schedule(strict, subscription(healthyRetryPolicy=loud)).retries == 5


@given(
    st.integers(0, 50),
    st.tuples(st.integers(0, 10), st.integers(0, 10), st.integers(0, 10)),
    st.tuples(st.integers(1, 3600), st.integers(1, 3600)),
    st.sampled_from(sorted(GROWTH)),
)
def test_delays_never_shrink_and_stay_within_bounds(
    extra: int, phases: tuple[int, int, int], targets: tuple[int, int], backoff: str
) -> None:
    least, most = sorted(targets)
    at_once, at_least, at_most = phases
    schedule = RetrySchedule(
        retries=sum(phases) + extra,
        at_once=at_once,
        at_least=at_least,
        at_most=at_most,
        least_s=least,
        most_s=most,
        backoff=backoff,
    )
    found = delays(schedule)
    assert found == sorted(found)
    assert found[:at_once] == [0] * at_once
    assert all(least <= delay <= most + 1e-9 for delay in found[at_once:])
    if extra:
        assert found[-1] == pytest.approx(most)


@pytest.mark.parametrize(
    "policy",
    [
        {"healthyRetryPolicy": {"numRetries": 101}},
        {"healthyRetryPolicy": {"numRetries": True}},
        {"healthyRetryPolicy": {"minDelayTarget": 0}},
        {"healthyRetryPolicy": {"minDelayTarget": 30, "maxDelayTarget": 20}},
        {"healthyRetryPolicy": {"numRetries": 1, "numNoDelayRetries": 2}},
        {"healthyRetryPolicy": {"backoffFunction": "wild"}},
        {"healthyRetryPolicy": {"numRetrys": 1}},
        {"healthyRetryPolicy": [1]},
        {"throttlePolicy": {"maxReceivesPerSecond": 0}},
        {"requestPolicy": {"headerContentType": "a\r\nb: c"}},
        {"other": {}},
    ],
)
def test_nonsense_is_refused(policy: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter, match="DeliveryPolicy"):
        check_delivery(json.dumps(policy))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"http":[]}', '{"http":{"x":1}}'])
def test_nonsense_of_topics_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="DeliveryPolicy"):
        check_topic_delivery(text)
