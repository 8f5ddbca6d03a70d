"""Retry-After, as peers write it."""

from datetime import UTC, datetime

import pytest

from tocsin.core.patience import asked_pause_s

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("", None),
        ("120", 120),
        (" 5 ", 5),
        ("1.5", 1.5),
        ("1.", None),
        (".5", None),
        ("-1", None),
        ("1e3", None),
        ("inf", None),
        ("nan", None),
        ("soon", None),
        ("²", None),
        ("Thu, 01 Jan 2026 00:01:00 GMT", 60),
        ("Thu, 01 Jan 2026 01:01:00 +0100", 60),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0),
        ("Thu, 01 Jan 2026 00:01:00 -0000", 60),
        ("9" * 400, 999_999_999_999),
    ],
)
def test_a_pause_is_asked_for_in_seconds_or_by_a_date(text: str | None, expected: float | None) -> None:
    assert asked_pause_s(text, NOW) == expected


def test_whoever_asks_knows_how_patient_to_be() -> None:
    assert asked_pause_s("61", NOW, most_s=60) == 60
    assert asked_pause_s("Thu, 01 Jan 2026 00:02:00 GMT", NOW, most_s=60) == 60
    assert asked_pause_s("59", NOW, most_s=60) == 59
