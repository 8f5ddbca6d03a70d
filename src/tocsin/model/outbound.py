"""Outbound deliveries: what is owed to somebody outside our own store, kept until it is delivered or given up.

Whoever owes one commits it together with the state that makes it owed. The outbox hands it to a carrier and commits
what became of it. Times are epoch milliseconds.
"""

from enum import StrEnum
from typing import Any, ClassVar

from msgspec import Struct, field

from tocsin.model.records import Record


class RetryPolicy(Struct, frozen=True, kw_only=True):
    """How long a delivery is worth trying. Defaults are EventBridge's: the first attempt and 185 more, in 24 hours.

    Without `backoff` the carrier alone says when it is tried again (`Outcome.after_s`).
    """

    attempts_max: int = 186
    age_s_max: int = 86_400
    backoff: bool = True


class LastResort(Struct, frozen=True, kw_only=True):
    """Where a delivery goes that could not be made: an SQS queue, the message's body, and its attributes.

    `error_names` are the attribute names under which code, text and number of retries are told, in this order, and
    `exhausted_name` the one for which limit ended the trying: services spell them differently. Empty: not told.
    """

    queue_arn: str
    body: str
    attributes: dict[str, str] = field(default_factory=dict)
    error_names: tuple[str, str, str] = ("ERROR_CODE", "ERROR_MESSAGE", "RETRY_ATTEMPTS")
    exhausted_name: str = "EXHAUSTED_RETRY_CONDITION"


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A delivery given up. `retries` are the attempts beyond the first; `exhausted` names the limit of the retry policy
    that was reached, and is empty for what trying again would not have helped. Without `last_resort` it ends here."""

    origin: str
    code: str
    message: str
    retries: int = 0
    exhausted: str = ""
    last_resort: LastResort | None = None


class Outbound(Record, frozen=True, kw_only=True):
    """One delivery that is owed.

    `lane` names what shares a fate (one endpoint, one mailbox): lanes do not delay each other, and within one the older
    goes first. `carrier` names who can make it; `about` is all that carrier needs beside `body`, as plain JSON.
    `id` is derived from what is owed, so that a repeat is the same delivery; it is also what the receiver can
    deduplicate by. `origin` tells in the log and the counts on whose behalf (a rule's ARN, a subscription's), and
    `target` for which of its targets, where it has more than one.
    """

    kind: ClassVar[str] = "outbound"

    lane: str
    id: str
    carrier: str
    origin: str
    target: str = ""
    body: str
    about: dict[str, Any] = field(default_factory=dict)
    first_ms: int
    due_ms: int
    attempts: int = 0
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    last_resort: LastResort | None = None
    last_code: str = ""
    last_error: str = ""

    @property
    def key(self) -> str:
        """In a lane the order of keys is the order of acceptance."""
        return f"{lane_prefix(self.lane)}{self.first_ms:015d}/{self.id}"


def lane_prefix(lane: str) -> str:
    """What the keys of a lane's deliveries begin with, and no other lane's."""
    assert "\t" not in lane, f"{lane!r} holds a tab, which ends the name of a lane"
    return f"{lane}\t"


class Verdict(StrEnum):
    DELIVERED = "delivered"
    AGAIN = "again"  # may work later: time-outs, 429, 5xx, a peer that is away
    NEVER = "never"  # trying again would not help: 4xx, a refused recipient, something missing here
    NOT_YET = "not yet"  # nothing was tried (a rate limit of ours): the lane rests `after_s`, no attempt is counted


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of one attempt. `code` is one of AWS's dead-letter error codes; `after_s` is what the peer asked for
    (Retry-After)."""

    verdict: Verdict
    code: str = ""
    message: str = ""
    after_s: float | None = None


DELIVERED = Outcome(verdict=Verdict.DELIVERED)
