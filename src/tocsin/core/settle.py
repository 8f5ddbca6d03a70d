"""What becomes of an outbound delivery after an attempt: done, again at a time, or given up. Called by the outbox.

Knows deliveries and outcomes; time and chance come by argument. Also: what a rule's target says about trying again.
"""

from msgspec import Struct
from msgspec.structs import replace

from tocsin.model.delivery import Delivery, Refused
from tocsin.model.outbound import DeadLetter, LastResort, Outbound, Outcome, RetryPolicy, Verdict
from tocsin.model.records import successor

# AWS names neither its first pause nor its longest. One second lets a restart pass; the longest is so that the default
# policy's 185 retries fill its 24 hours, and a peer that is back is noticed within minutes.
PAUSE_S_FIRST = 1.0
PAUSE_S_MAX = 480.0
# Pauses are spread by this part of themselves, so that what failed together does not come back together.
JITTER = 0.5
ERROR_CHARS_MAX = 1000

# AWS's names for which limit ended the trying (facts/peers.md §3.2).
BY_ATTEMPTS, BY_AGE = "MaximumRetryAttempts", "MaximumEventAgeInSeconds"
# AWS's codes for what was never tried, because it grew too old or because there were too many.
TIMEOUT, THROTTLING = "TIMEOUT", "THROTTLING"


class Done(Struct, frozen=True):
    """It was delivered: nothing is owed any more."""


class RetryAt(Struct, frozen=True):
    """It is owed on: the record as it is kept from now on, `due_ms` telling when it is tried again."""

    outbound: Outbound


def settle(outbound: Outbound, outcome: Outcome, now_ms: int, chance: float) -> Done | RetryAt | DeadLetter:
    """What one attempt means. `chance` is a number of [0, 1). An outcome NOT_YET was no attempt, and is not settled."""
    assert outcome.verdict is not Verdict.NOT_YET, "nothing was tried"
    assert 0 <= chance < 1
    if outcome.verdict is Verdict.DELIVERED:
        return Done()
    tried = successor(
        outbound,
        attempts=outbound.attempts + 1,
        last_code=outcome.code,
        last_error=printable(outcome.message),
    )
    if outcome.verdict is Verdict.NEVER:
        return given_up(tried)
    if tried.attempts >= tried.retry.attempts_max:
        return given_up(tried, BY_ATTEMPTS)
    due_ms = _due_ms(tried, outcome.after_s, now_ms, chance)
    return given_up(tried, BY_AGE) if due_ms is None else RetryAt(replace(tried, due_ms=due_ms))


def _due_ms(tried: Outbound, after_s: float | None, now_ms: int, chance: float) -> int | None:
    """When it is tried next, for the last time at its deadline; None when it would be too old.

    Never before the peer asked for it."""
    deadline_ms = deadline(tried)
    rest_s = pause_s(tried.attempts, chance) if tried.retry.backoff else 0
    rested_ms = min(now_ms + round(rest_s * 1000), deadline_ms)
    due_ms = max(rested_ms, now_ms + round((after_s or 0) * 1000))
    return due_ms if now_ms < deadline_ms and due_ms <= deadline_ms else None


def printable(text: str) -> str:
    """An error as it is kept: peers have their say in it, terminals obey control characters and SQS refuses them."""
    return "".join(one if one.isprintable() else " " for one in text[:ERROR_CHARS_MAX]).strip()


def pause_s(attempts: int, chance: float) -> float:
    """Seconds to wait after so many attempts: twice as long each time, spread by chance."""
    assert attempts >= 1
    longest = PAUSE_S_FIRST * 2.0 ** min(attempts - 1, 64)
    return min(longest, PAUSE_S_MAX) * (1 - JITTER / 2 + JITTER * chance)


def deadline(outbound: Outbound) -> int:
    """Epoch milliseconds from which on the delivery is too old to be tried."""
    return outbound.first_ms + outbound.retry.age_s_max * 1000


def overdue(outbound: Outbound, now_ms: int) -> DeadLetter | None:
    """Given up before another attempt, because it is too old; None while it is not. One that is due at its deadline
    has that attempt, however late somebody comes to it."""
    late = outbound.due_ms < deadline(outbound) <= now_ms
    return given_up(outbound, BY_AGE) if late else None


def given_up(outbound: Outbound, exhausted: str = "") -> DeadLetter:
    return DeadLetter(
        origin=outbound.origin,
        code=outbound.last_code or TIMEOUT,
        message=outbound.last_error or "It grew too old before it could be tried.",
        retries=max(0, outbound.attempts - 1),
        exhausted=exhausted,
        last_resort=outbound.last_resort,
    )


def crowded_out(outbound: Outbound, owed_max: int) -> DeadLetter:
    """Given up because its lane owes more than one lane may."""
    tried = f" The last attempt: {outbound.last_error}" if outbound.last_error else ""
    message = f"More than {owed_max} deliveries are owed to this target: the oldest are given up.{tried}"
    return replace(given_up(outbound), code=THROTTLING, message=message)


def dead_letter(refused: Refused) -> DeadLetter:
    """What becomes of a delivery that a target inside our own store refused: it is never tried again."""
    return DeadLetter(
        origin=refused.delivery.rule.arn,
        code=refused.code,
        message=printable(refused.message),
        last_resort=last_resort(refused.delivery),
    )


def last_resort(delivery: Delivery) -> LastResort | None:
    """The target's dead-letter queue, and what goes there: the event as it was, whatever the target would have been
    sent (facts/peers.md §3.2)."""
    queue = delivery.target.spec.get("DeadLetterConfig", {}).get("Arn")
    if not queue:
        return None
    return LastResort(
        queue_arn=queue,
        body=delivery.event.body.decode(),
        attributes={"RULE_ARN": delivery.rule.arn, "TARGET_ARN": delivery.target.arn},
    )


def retry_policy(delivery: Delivery) -> RetryPolicy:
    """What the target's RetryPolicy says, which counts the attempts beyond the first."""
    asked, default = delivery.target.spec.get("RetryPolicy", {}), RetryPolicy()
    return RetryPolicy(
        attempts_max=asked.get("MaximumRetryAttempts", default.attempts_max - 1) + 1,
        age_s_max=asked.get("MaximumEventAgeInSeconds", default.age_s_max),
    )
