"""What nodes report: its time."""

from datetime import UTC, datetime, timedelta

from tocsin.core.reports import SKEW_MAX_S, acceptable_time, seen_at
from tocsin.model.times import epoch_ms

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_finding_is_never_of_a_time_to_come() -> None:
    """Its node's clock may be wrong. Of the past it may be: it waited for its server."""
    for seconds, at in ((-60, NOW - timedelta(seconds=60)), (60, NOW), (2 * SKEW_MAX_S, NOW), (-2 * SKEW_MAX_S, NOW)):
        assert seen_at(epoch_ms(NOW + timedelta(seconds=seconds)), NOW) == epoch_ms(at)


def test_a_line_of_a_log_may_be_a_little_ahead() -> None:
    assert acceptable_time(epoch_ms(NOW + timedelta(seconds=60)), NOW) == epoch_ms(NOW + timedelta(seconds=60))
