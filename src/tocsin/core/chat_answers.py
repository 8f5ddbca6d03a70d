"""What a chat's answer to a post means: delivered, again later, or never. Carriers ask; no HTTP client is known here.

No text of an answer goes into an outcome but the vendors' own words for errors: whatever else stands in it may hold the
address that was called, which is a secret.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from tocsin.core.patience import asked_pause_s
from tocsin.model.outbound import DELIVERED, Outcome, Verdict

THROTTLED, TIMED_OUT, REFUSED = "THROTTLING", "TIMEOUT", "SDK_CLIENT_ERROR"  # AWS's dead-letter codes
BROKEN = "INTERNAL_ERROR"

# Beyond that a chat asks for more patience than a message is worth; it is asked again in the meantime.
RETRY_AFTER_S_MAX = 3600.0
# HTTP statuses below 500 that may pass by themselves.
PASSING = {408: TIMED_OUT, 425: THROTTLED, 429: THROTTLED}
# Slack's errors of chat.postMessage that may pass by themselves. All others are about the message or the channel.
SLACK_PASSING = {
    "ratelimited": THROTTLED,
    "rate_limited": THROTTLED,
    "message_limit_exceeded": THROTTLED,
    "request_timeout": TIMED_OUT,
    "service_unavailable": BROKEN,
    "internal_error": BROKEN,
    "fatal_error": BROKEN,
    "team_added_to_org": BROKEN,
    "org_login_required": BROKEN,
}
SLACK_THREAD_GONE = ("thread_not_found", "message_not_found")
WORD = re.compile(r"[a-z][a-z_]{1,60}")
# What the older kind of Teams webhook answers with status 200 when Teams itself refused the message.
TEAMS_REFUSED = re.compile(r"Microsoft Teams endpoint returned HTTP error (\d{3})")


class Answer(Struct, frozen=True, kw_only=True):
    """A chat's answer. Header names are lower-case; `body` may be cut."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


def by_status(answer: Answer, now: datetime) -> Outcome:
    """What the status alone means."""
    if 200 <= answer.status < 300:
        return DELIVERED
    said = f"The chat answered {answer.status}{_word(answer.body)}."
    if answer.status >= 500 or answer.status in PASSING:
        code = PASSING.get(answer.status, BROKEN)
        return Outcome(verdict=Verdict.AGAIN, code=code, message=said, after_s=_retry_after(answer.headers, now))
    return Outcome(verdict=Verdict.NEVER, code=REFUSED, message=said)


def of_slack_webhook(answer: Answer, now: datetime) -> Outcome:
    """Slack says `ok` and nothing else; any other 200 is not from Slack."""
    outcome = by_status(answer, now)
    if outcome.verdict is Verdict.DELIVERED and answer.body.strip() != b"ok":
        return Outcome(verdict=Verdict.AGAIN, code=BROKEN, message="The answer is not Slack's.")
    return outcome


def of_teams_webhook(answer: Answer, now: datetime) -> Outcome:
    outcome = by_status(answer, now)
    refused = TEAMS_REFUSED.search(answer.body.decode("utf-8", "replace"))
    if outcome.verdict is not Verdict.DELIVERED or refused is None:
        return outcome
    return by_status(Answer(status=int(refused[1]), headers=answer.headers), now)


class SlackSaid(Struct, frozen=True, kw_only=True):
    """What chat.postMessage answered: a message's `ts` when it is delivered, Slack's word for the error when not."""

    outcome: Outcome
    ts: str = ""
    error: str = ""


def of_slack_api(answer: Answer, now: datetime) -> SlackSaid:
    """Slack's errors come with status 200 and `ok` false."""
    outcome = by_status(answer, now)
    if outcome.verdict is not Verdict.DELIVERED:
        return SlackSaid(outcome=outcome)
    try:
        said = json.loads(answer.body)
        fine, ts, error = said["ok"], str(said.get("ts", "")), str(said.get("error", ""))
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return SlackSaid(outcome=Outcome(verdict=Verdict.AGAIN, code=BROKEN, message="The answer is not Slack's."))
    if fine is True:
        return SlackSaid(outcome=DELIVERED, ts=ts)
    word = error if WORD.fullmatch(error) else "an error without a name"
    return SlackSaid(outcome=_slack_error(word, _retry_after(answer.headers, now)), error=word)


def _slack_error(word: str, after_s: float | None) -> Outcome:
    message = f"Slack answered {word}."
    if word in SLACK_PASSING:
        return Outcome(verdict=Verdict.AGAIN, code=SLACK_PASSING[word], message=message, after_s=after_s)
    return Outcome(verdict=Verdict.NEVER, code=REFUSED, message=message)


def _word(body: bytes) -> str:
    """A vendor's word for an error, if the answer is one: invalid_payload, channel_not_found."""
    text = body[:64].decode("ascii", "replace").strip()
    return f": {text}" if WORD.fullmatch(text) else ""


def _retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    return asked_pause_s(headers.get("retry-after"), now, RETRY_AFTER_S_MAX)
