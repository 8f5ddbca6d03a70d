"""What a chat's answer means, where no server is needed to see it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.core.chat_answers import RETRY_AFTER_S_MAX, Answer, by_status, of_slack_api, of_teams_webhook
from tocsin.model.outbound import Verdict

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30.0),
        ("1.5", 1.5),
        ("99999999", RETRY_AFTER_S_MAX),
        ("soon", None),
    ],
)
def test_a_pause_that_is_asked_for_is_bounded(text: str, seconds: float | None) -> None:
    assert by_status(Answer(status=429, headers={"retry-after": text}), NOW).after_s == seconds


@pytest.mark.parametrize(("status", "verdict"), [(429, Verdict.AGAIN), (413, Verdict.NEVER), (500, Verdict.AGAIN)])
def test_teams_refusals_that_come_with_200_are_refusals(status: int, verdict: Verdict) -> None:
    body = f"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error {status} with"
    assert of_teams_webhook(Answer(status=200, headers={}, body=body.encode()), NOW).verdict is verdict


@pytest.mark.parametrize("body", [b"", b"1", b'{"id":"x"}'])
def test_teams_takes_a_card_with_any_other_body(body: bytes) -> None:
    assert of_teams_webhook(Answer(status=202, headers={}, body=body), NOW).verdict is Verdict.DELIVERED


@given(st.integers(100, 599), st.binary(max_size=80))
def test_no_text_of_an_answer_but_a_vendors_word_is_told(status: int, body: bytes) -> None:
    outcome = by_status(Answer(status=status, headers={}, body=b"/S3cret/" + body), NOW)
    assert "S3cret" not in outcome.message


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"ok": "yes", "error": 7}', b'"ok"', b'{"error": "x"}'])
def test_an_answer_that_is_not_slacks_is_no_delivery(body: bytes) -> None:
    said = of_slack_api(Answer(status=200, headers={}, body=body), NOW)
    assert said.outcome.verdict is not Verdict.DELIVERED
