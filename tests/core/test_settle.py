"""What becomes of a delivery after an attempt."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tocsin.core.settle import (
    BY_AGE,
    BY_ATTEMPTS,
    PAUSE_S_MAX,
    Done,
    RetryAt,
    crowded_out,
    dead_letter,
    deadline,
    overdue,
    pause_s,
    retry_policy,
    settle,
)
from tocsin.model.delivery import Delivery, Refused
from tocsin.model.event import Event
from tocsin.model.names import Scope
from tocsin.model.outbound import DELIVERED, DeadLetter, LastResort, Outbound, Outcome, RetryPolicy, Verdict
from tocsin.model.rule import Rule, Target

SCOPE = Scope("111122223333", "us-west-2")
FIRST_MS = 1_000_000
AGAIN = Outcome(verdict=Verdict.AGAIN, code="ERROR_FROM_TARGET", message="503")
NEVER = Outcome(verdict=Verdict.NEVER, code="NO_RESOURCE", message="gone")


def outbound(**given: Any) -> Outbound:
    made: dict[str, Any] = {
        "lane": "l",
        "id": "i",
        "carrier": "c",
        "origin": "o",
        "body": "b",
        "first_ms": FIRST_MS,
        "due_ms": FIRST_MS,
    }
    return Outbound(scope=SCOPE, **(made | given))


def delivery(**spec: Any) -> Delivery:
    event = Event(scope=SCOPE, bus="default", id="e", at_ms=1, body=b'{"id":"e"}')
    target = Target(id="t", arn="arn:aws:events:us-west-2:111122223333:api-destination/d/1", spec=spec)
    return Delivery(event=event, rule=Rule(scope=SCOPE, name="r", targets=(target,)), target=target, payload=b"{}")


def test_what_was_delivered_is_owed_no_more() -> None:
    assert settle(outbound(), DELIVERED, FIRST_MS, 0.5) == Done()


def test_what_can_never_be_delivered_is_given_up_at_once() -> None:
    last = LastResort(queue_arn="q", body="b")
    letter = settle(outbound(last_resort=last), NEVER, FIRST_MS, 0.5)
    assert letter == DeadLetter(origin="o", code="NO_RESOURCE", message="gone", retries=0, last_resort=last)


def test_what_may_work_later_is_kept_as_the_next_revision_with_its_error() -> None:
    kept = settle(outbound(), AGAIN, FIRST_MS, 0.5)
    assert isinstance(kept, RetryAt)
    assert kept.outbound == outbound(
        revision=2, attempts=1, last_code="ERROR_FROM_TARGET", last_error="503", due_ms=FIRST_MS + 1000
    )


def test_what_a_peer_says_is_kept_without_control_characters() -> None:
    kept = settle(outbound(), replace(AGAIN, message="no\x1b[31m\x00\r\nway\ud800 ü\n" + "x" * 2000), FIRST_MS, 0.5)
    assert isinstance(kept, RetryAt)
    assert kept.outbound.last_error.startswith("no [31m   way  ü xxx")
    assert len(kept.outbound.last_error) == 1000


def test_pauses_double_up_to_the_longest() -> None:
    assert [pause_s(n, 0.5) for n in (1, 2, 3, 4, 9, 10, 11, 5000)] == [1, 2, 4, 8, 256, PAUSE_S_MAX, PAUSE_S_MAX, 480]


def test_chance_spreads_a_pause_by_a_quarter_to_both_sides() -> None:
    assert (pause_s(3, 0.0), pause_s(3, 1.0)) == (3.0, 5.0)


def test_what_the_peer_asked_for_is_obeyed() -> None:
    kept = settle(outbound(), replace(AGAIN, after_s=120.5), FIRST_MS, 0.5)
    assert isinstance(kept, RetryAt)
    assert kept.outbound.due_ms == FIRST_MS + 120_500
    kept = settle(outbound(attempts=5), replace(AGAIN, after_s=1), FIRST_MS, 0.5)
    assert isinstance(kept, RetryAt)
    assert kept.outbound.due_ms == FIRST_MS + 32_000, "the longer of the two"


def test_who_asks_for_more_time_than_there_is_ends_it() -> None:
    letter = settle(outbound(), replace(AGAIN, after_s=86_401), FIRST_MS, 0.5)
    assert isinstance(letter, DeadLetter)
    assert letter.exhausted == BY_AGE


@pytest.mark.parametrize("attempts_max", [1, 2, 186])
def test_a_delivery_is_tried_as_often_as_its_policy_says(attempts_max: int) -> None:
    one = outbound(retry=RetryPolicy(attempts_max=attempts_max, age_s_max=10**9))
    for attempt in range(1, attempts_max):
        kept = settle(one, AGAIN, FIRST_MS, 0.5)
        assert isinstance(kept, RetryAt)
        assert kept.outbound.attempts == attempt
        one = kept.outbound
    letter = settle(one, AGAIN, FIRST_MS, 0.5)
    assert isinstance(letter, DeadLetter)
    assert (letter.retries, letter.exhausted) == (attempts_max - 1, BY_ATTEMPTS)


def test_the_default_policy_fills_a_day_with_its_185_retries() -> None:
    one, now_ms = outbound(), FIRST_MS
    while isinstance(kept := settle(one, AGAIN, now_ms, 0.5), RetryAt):
        one = kept.outbound
        now_ms = one.due_ms
    assert now_ms >= FIRST_MS + 23 * 3_600_000
    assert isinstance(kept, DeadLetter)
    assert 180 <= kept.retries <= 185


def test_the_last_attempt_is_made_at_the_deadline_however_late_somebody_comes_to_it() -> None:
    one = outbound(attempts=20, retry=RetryPolicy(age_s_max=60))
    kept = settle(one, AGAIN, FIRST_MS + 59_000, 0.5)
    assert isinstance(kept, RetryAt)
    assert kept.outbound.due_ms == deadline(one)
    assert overdue(kept.outbound, deadline(one) + 5000) is None
    assert isinstance(settle(kept.outbound, AGAIN, deadline(one) + 5000, 0.5), DeadLetter)


def test_what_grew_too_old_untried_is_given_up() -> None:
    assert overdue(outbound(), FIRST_MS + 86_399_999) is None
    letter = overdue(outbound(), FIRST_MS + 86_400_000)
    assert letter is not None
    assert (letter.code, letter.retries, letter.exhausted) == ("TIMEOUT", 0, BY_AGE)


def test_one_of_too_many_is_told_apart_from_one_that_failed() -> None:
    letter = crowded_out(outbound(attempts=3, last_code="SDK_CLIENT_ERROR", last_error="refused"), 10)
    assert (letter.code, letter.retries) == ("THROTTLING", 2)
    assert "More than 10" in letter.message
    assert "refused" in letter.message


@given(
    attempts=st.integers(0, 185),
    age_s=st.integers(60, 86_400),
    passed_ms=st.integers(0, 10**8),
    after_s=st.none() | st.floats(0, 10**6),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_law_nobody_is_tried_after_the_deadline_before_its_time_or_more_often_than_allowed(
    attempts: int, age_s: int, passed_ms: int, after_s: float | None, chance: float
) -> None:
    one = outbound(attempts=attempts, retry=RetryPolicy(age_s_max=age_s))
    now_ms = FIRST_MS + passed_ms
    fate = settle(one, replace(AGAIN, after_s=after_s), now_ms, chance)
    if isinstance(fate, RetryAt):
        assert now_ms <= fate.outbound.due_ms <= deadline(one)
        assert fate.outbound.due_ms >= now_ms + round((after_s or 0) * 1000)
        assert fate.outbound.attempts == attempts + 1 < one.retry.attempts_max
        assert fate.outbound.revision == one.revision + 1
    else:
        assert isinstance(fate, DeadLetter)
        assert fate.exhausted


def test_a_targets_policy_counts_what_comes_after_the_first_attempt() -> None:
    assert retry_policy(delivery()) == RetryPolicy(attempts_max=186, age_s_max=86_400)
    asked = {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}
    assert retry_policy(delivery(RetryPolicy=asked)) == RetryPolicy(attempts_max=1, age_s_max=60)


def test_a_dead_letter_holds_the_event_and_names_rule_and_target() -> None:
    refused = Refused(delivery=delivery(DeadLetterConfig={"Arn": "arn:q"}), code="NO_RESOURCE", message="x" * 2000)
    letter = dead_letter(refused)
    assert letter.last_resort is not None
    assert (letter.last_resort.queue_arn, letter.last_resort.body) == ("arn:q", '{"id":"e"}')
    assert letter.last_resort.attributes == {
        "RULE_ARN": refused.delivery.rule.arn,
        "TARGET_ARN": refused.delivery.target.arn,
    }
    assert len(letter.message) == 1000
    assert dead_letter(replace(refused, delivery=delivery())).last_resort is None
