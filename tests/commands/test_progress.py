"""Whose turn it is and how it ends: cases, and laws over any order of what may happen."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tocsin.core.commands.hearing import heard
from tocsin.core.commands.orders import NEVER_S, orders_of
from tocsin.core.commands.progress import SILENCE_GRACE_S, Seen, advance, deadline_ms
from tocsin.model.command import FINAL, Command, Details, Invocation, Status
from tocsin.model.link import CancelCommand, CommandEnded, CommandStarted, CommandStep, RunCommand
from tocsin.model.names import Scope
from tocsin.model.records import successor

SCOPE = Scope("111122223333", "us-west-2")
BEGIN_MS = 1_000_000
WITHIN_S, STEP_S = 100, 50


def command(count: int, **changes: Any) -> Command:
    made = Command(
        scope=SCOPE,
        id="c",
        document="AWS-RunShellScript",
        document_version="$DEFAULT",
        request={},
        steps=(
            CommandStep(name="run", plugin="aws:runShellScript", interpreter="sh", script="true", time_limit_s=STEP_S),
        ),
        targets=count,
        sent_max=50,
        errors_max=0,
        requested_ms=BEGIN_MS,
        expires_ms=BEGIN_MS + (WITHIN_S + STEP_S) * 1000,
        deliver_within_s=WITHIN_S,
    )
    return replace(made, **changes)


def invocations(count: int, **changes: Any) -> list[Invocation]:
    return [
        replace(
            Invocation(
                scope=SCOPE,
                command_id="c",
                instance_id=f"i-{number}",
                named=f"i-{number}",
                instance_name="",
                requested_ms=BEGIN_MS,
            ),
            **changes,
        )
        for number in range(count)
    ]


def seen(ones: Sequence[Invocation], **changes: Any) -> Seen:
    """All there and linked, but for the changes."""
    ids = frozenset(one.instance_id for one in ones)
    return replace(Seen(known=ids, linked=ids), **changes)


def after(
    made: Command, ones: list[Invocation], at_ms: int = BEGIN_MS, **changes: Any
) -> tuple[Command, list[Invocation]]:
    """The command and all its invocations after one decision."""
    now, moved = advance(made, ones, seen(ones, **changes), at_ms)
    by_id = {one.instance_id: one for one in moved}
    return now, [by_id.get(one.instance_id, one) for one in ones]


def details(ones: list[Invocation]) -> list[Details]:
    return [one.details for one in ones]


def test_so_many_are_sent_at_once_as_may_be() -> None:
    made, ones = after(command(5, sent_max=2), invocations(5))
    assert [one.status for one in ones] == [Status.IN_PROGRESS] * 2 + [Status.PENDING] * 3
    assert made.status is Status.IN_PROGRESS
    assert after(made, ones) == (made, ones)  # deciding again changes nothing


def test_a_node_without_a_link_takes_its_turn_and_is_sent_when_it_is_back() -> None:
    made, ones = after(command(1), invocations(1), linked=frozenset())
    assert details(ones) == [Details.DELAYED]
    _, ones = after(made, ones, BEGIN_MS + 10)
    assert details(ones) == [Details.IN_PROGRESS]


def test_a_node_with_its_hands_full_waits_and_others_go_first() -> None:
    _, ones = after(command(2, sent_max=1), invocations(2), full=frozenset({"i-0"}))
    assert [one.sent_ms for one in ones] == [0, BEGIN_MS]


@pytest.mark.parametrize(
    ("state", "wait_ms", "reason"),
    [
        ({}, (WITHIN_S + STEP_S) * 1000, "expired before the node's turn"),
        ({"sent_ms": BEGIN_MS, "status": Status.DELAYED}, WITHIN_S * 1000, "did not reach the node"),
        ({"sent_ms": BEGIN_MS, "status": Status.IN_PROGRESS}, WITHIN_S * 1000, "did not reach the node"),
        (
            {"sent_ms": BEGIN_MS, "started_ms": BEGIN_MS, "status": Status.IN_PROGRESS},
            (STEP_S + SILENCE_GRACE_S) * 1000,
            "not heard of again",
        ),
    ],
)
def test_time_alone_ends_what_nobody_answers(state: dict[str, Any], wait_ms: int, reason: str) -> None:
    made, ones = command(1, sent_max=0), invocations(1, **state)
    assert after(made, ones, BEGIN_MS + wait_ms - 1, linked=frozenset())[1] == ones
    made, [one] = after(made, ones, BEGIN_MS + wait_ms, linked=frozenset())
    assert (one.status, one.details) == (Status.TIMED_OUT, Details.DELIVERY_TIMED_OUT)
    assert reason in one.reason
    assert made.details is Details.DELIVERY_TIMED_OUT


def test_a_node_that_is_gone_cannot_be_reached_whatever_it_was_at() -> None:
    ones = [*invocations(1), *invocations(2, sent_ms=BEGIN_MS, started_ms=BEGIN_MS)[1:]]
    made, ones = after(command(2), ones, known=frozenset())
    assert details(ones) == [Details.UNDELIVERABLE] * 2
    assert (made.status, made.details) == (Status.FAILED, Details.UNDELIVERABLE)


def test_more_errors_than_allowed_end_those_that_wait() -> None:
    ones = invocations(3)
    ones[0] = replace(ones[0], status=Status.FAILED, details=Details.FAILED, sent_ms=BEGIN_MS)
    made, ones = after(command(3, sent_max=1), ones)
    assert details(ones) == [Details.FAILED, Details.TERMINATED, Details.TERMINATED]
    assert made.details is Details.FAILED


ENDS: list[tuple[list[Details], dict[str, Any], tuple[Status, Details]]] = [
    ([Details.SUCCESS] * 2, {}, (Status.SUCCESS, Details.SUCCESS)),
    ([Details.SUCCESS, Details.FAILED], {}, (Status.FAILED, Details.FAILED)),
    ([Details.SUCCESS, Details.FAILED], {"errors_max": 1}, (Status.FAILED, Details.INCOMPLETE)),
    ([Details.EXECUTION_TIMED_OUT], {}, (Status.TIMED_OUT, Details.EXECUTION_TIMED_OUT)),
    ([Details.EXECUTION_TIMED_OUT, Details.FAILED], {}, (Status.FAILED, Details.FAILED)),
    ([Details.SUCCESS, Details.UNDELIVERABLE], {}, (Status.SUCCESS, Details.SUCCESS)),
    ([Details.UNDELIVERABLE] * 2, {}, (Status.FAILED, Details.UNDELIVERABLE)),
    ([Details.DELIVERY_TIMED_OUT] * 2, {}, (Status.TIMED_OUT, Details.DELIVERY_TIMED_OUT)),
    ([Details.DELIVERY_TIMED_OUT, Details.SUCCESS], {}, (Status.FAILED, Details.INCOMPLETE)),
    ([Details.CANCELLED, Details.SUCCESS], {}, (Status.FAILED, Details.INCOMPLETE)),
    ([Details.CANCELLED, Details.SUCCESS], {"cancelled": True}, (Status.CANCELLED, Details.CANCELLED)),
    ([Details.SUCCESS] * 2, {"cancelled": True}, (Status.SUCCESS, Details.SUCCESS)),
    ([], {}, (Status.SUCCESS, Details.NO_INSTANCES_IN_TAG)),
]
STATUS = {
    Details.SUCCESS: Status.SUCCESS,
    Details.CANCELLED: Status.CANCELLED,
    Details.EXECUTION_TIMED_OUT: Status.TIMED_OUT,
    Details.DELIVERY_TIMED_OUT: Status.TIMED_OUT,
}


@pytest.mark.parametrize(("kinds", "changes", "end"), ENDS)
def test_the_end_of_a_command_follows_from_those_of_its_invocations(
    kinds: list[Details], changes: dict[str, Any], end: tuple[Status, Details]
) -> None:
    ones = [
        replace(one, details=kind, status=STATUS.get(kind, Status.FAILED))
        for one, kind in zip(invocations(len(kinds)), kinds, strict=True)
    ]
    made, _ = after(command(len(kinds), **changes), ones)
    assert (made.status, made.details) == end


def test_an_order_leaves_only_the_time_that_is_left() -> None:
    [one] = invocations(1, sent_ms=BEGIN_MS)
    [order] = orders_of(command(1), one, {}, 1, BEGIN_MS + 30_000)
    assert isinstance(order, RunCommand)
    assert order.start_within_s == WITHIN_S - 30
    assert not order.begun


def test_a_cancelled_command_is_ordered_never_to_begin() -> None:
    [one] = invocations(1, sent_ms=BEGIN_MS, cancelled=True)
    order, cancel = orders_of(command(1), one, {}, 1, BEGIN_MS)
    assert isinstance(order, RunCommand)
    assert order.start_within_s == NEVER_S
    assert isinstance(cancel, CancelCommand)
    late = CommandEnded(n=1, work="w", at_ms=0, outcome="late")
    assert heard(one, late, BEGIN_MS).details is Details.CANCELLED


class Course:
    """A command under anything that may happen, decided after each."""

    def __init__(self, count: int, sent_max: int, errors_max: int) -> None:
        self.made = command(count, sent_max=sent_max, errors_max=errors_max)
        self.ones = {one.instance_id: one for one in invocations(count)}
        self.known = set(self.ones)
        self.linked = set(self.ones)
        self.now_ms = BEGIN_MS

    def happen(self, what: str, key: str) -> None:
        one = self.ones[key]
        match what:
            case "cut":
                self.linked.discard(key)
            case "link":
                self.linked.add(key)
            case "gone":
                self.known.discard(key)
                self.linked.discard(key)
            case "start" if one.sent_ms and not one.started_ms:
                self.ones[key] = heard(one, CommandStarted(n=1, work="w", at_ms=0), self.now_ms)
            case "success" | "failed" | "timed-out" | "interrupted" if one.sent_ms:
                outcome = "succeeded" if what == "success" else what
                self.ones[key] = heard(one, CommandEnded(n=2, work="w", at_ms=0, outcome=outcome), self.now_ms)
            case "cancel" if not one.final:
                self.ones[key] = successor(one, cancelled=True)
            case "wait":
                self.now_ms += 20_000
        self.decide()

    def decide(self) -> None:
        sight = Seen(known=frozenset(self.known), linked=frozenset(self.linked))
        before = dict(self.ones)
        was_final = self.made.status in FINAL
        made, moved = advance(self.made, list(self.ones.values()), sight, self.now_ms)
        self.ones |= {one.instance_id: one for one in moved}
        self.made = made
        assert all(before[one.instance_id].revision + 1 == one.revision for one in moved)
        assert not any(before[one.instance_id].final for one in moved), "what is over stays as it is"
        sending = [one for one in self.ones.values() if one.sent_ms and not one.final]
        assert len(sending) <= made.sent_max
        assert (made.status in FINAL) == all(one.final for one in self.ones.values())
        assert not (was_final and moved)
        again, nothing = advance(made, list(self.ones.values()), sight, self.now_ms)
        assert (again, nothing) == (made, []) or len(sending) < made.sent_max


HAPPENINGS = ["cut", "link", "gone", "start", "success", "failed", "timed-out", "interrupted", "cancel", "wait"]


@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(0, 3),
    st.lists(st.tuples(st.sampled_from(HAPPENINGS), st.integers(0, 3)), max_size=40),
)
@settings(max_examples=300, deadline=None)
def test_whatever_happens_every_command_comes_to_an_end(
    count: int, sent_max: int, errors_max: int, happenings: list[tuple[str, int]]
) -> None:
    course = Course(count, sent_max, errors_max)
    course.decide()
    for what, number in happenings:
        course.happen(what, f"i-{number % count}")
    for _ in range(100):
        if course.made.status in FINAL:
            break
        course.now_ms = max(
            course.now_ms,
            min(deadline_ms(course.made, one) for one in course.ones.values() if not one.final),
        )
        course.decide()
    assert course.made.status in FINAL
