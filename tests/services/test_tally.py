"""What the router counts: by rule and target while there are few, in one sum beyond; how late things were."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.core.histogram import LATENCIES_S, Histogram
from tocsin.model.delivery import Delivery, Refused
from tocsin.model.event import Event
from tocsin.model.names import Scope
from tocsin.model.rule import Rule, Target
from tocsin.services import tally
from tocsin.services.tally import OTHERS, Tally

HERE = Scope("111122223333", "us-west-2")


def delivery(rule: str, target: Target, at_ms: int = 0) -> Delivery:
    event = Event(scope=HERE, bus="default", id="e", at_ms=at_ms, body=b"{}")
    return Delivery(event=event, rule=Rule(scope=HERE, name=rule, targets=(target,)), target=target, payload=b"")


def target(name: str) -> Target:
    return Target(id=name, arn="arn", spec={})


def test_deliveries_are_counted_by_target_and_their_lateness_together() -> None:
    counted, one, two = Tally(), target("one"), target("two")
    counted.made([delivery("r", one, 100), delivery("r", two, 900), delivery("r", one, 900)], 1000)
    assert counted.counts[HERE, "default", "r", "one"]["Invocations"] == 2
    assert counted.counts[HERE, "default", "r", "two"]["Invocations"] == 1
    assert counted.latency_s.sum == pytest.approx(0.9 + 0.1 + 0.1)
    assert dict(counted.latency_s.buckets())["0.1"] == 2


def test_a_schedule_s_own_pattern_counts_for_its_rule() -> None:
    counted = Tally()
    counted.matched(HERE, "default", ["default/r", "default/r\0", "default/r"])
    assert counted.counts == {(HERE, "default", "r", ""): {"MatchedEvents": 3}}


def test_what_is_refused_has_failed_whether_a_queue_took_it_or_not() -> None:
    counted = Tally()
    counted.refused([Refused(delivery=delivery("r", target("t")), code="NO_RESOURCE", message="")] * 3, 2)
    assert counted.counts[HERE, "default", "r", "t"] == {
        "FailedInvocations": 3,
        "DeadLetterInvocations": 2,
        "InvocationsFailedToBeSentToDlq": 1,
    }


def test_beyond_the_limit_there_is_one_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "PLACES_COUNTED_MAX", 2)
    counted = Tally()
    for name in ("a", "b", "c", "d", "a"):
        counted.matched(HERE, "default", [f"default/{name}"])
    assert {place[2]: counts["MatchedEvents"] for place, counts in counted.counts.items()} == {"a": 2, "b": 1, "": 2}
    assert len(counted.counts) == 3
    assert OTHERS in counted.counts


@given(st.lists(st.floats(0, 100)))
def test_a_bucket_holds_all_that_is_not_above_its_bound(values: list[float]) -> None:
    histogram = Histogram()
    for value in values:
        histogram.observe(value)
    buckets = dict(histogram.buckets())
    assert all(buckets[str(bound)] == sum(value <= bound for value in values) for bound in LATENCIES_S)
    assert buckets["+Inf"] == len(values)
