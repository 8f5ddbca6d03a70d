"""What a delivery's log line says of the answer, whatever carriers and endpoints say."""

import pytest

from tocsin.core.topics.feedback import status_in


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("200 OK", 200),
        ("204 ", 204),
        ("The endpoint answers 503 Service Unavailable 404", 503),
        ("The endpoint did not answer within 15 seconds.", None),
        ("ClientConnectorError: Cannot connect to host 127.0.0.1:443", None),
        ("2000 years", None),
        ("", None),
    ],
)
def test_only_an_answers_own_status_is_told(said: str, status: int | None) -> None:
    assert status_in(said) == status
