"""Mails that do not get through: what the carrier makes of each way to fail, so that they wait or are given up."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import self_signed
from tests.doors.mailbox import USER, smtp_server
from tests.harness import WAIT_S, free_port
from tocsin.model.names import Scope
from tocsin.model.outbound import Outbound, Outcome, Verdict
from tocsin.model.records import successor
from tocsin.targets.mail import MailCarrier, MailSettings, complaint

SENDER = "tocsin@example.com"


def carried(to: str = "me@example.com", **settings: Any) -> Outcome:
    given = {"host": "127.0.0.1", "from_address": SENDER, "time_limit_s": WAIT_S, **settings}
    carrier = MailCarrier(MailSettings(**given), lambda: datetime(2026, 1, 1, tzinfo=UTC))
    return asyncio.run(carrier.carry(outbound(to)))


def outbound(to: str) -> Outbound:
    return Outbound(
        scope=Scope("111122223333", "us-west-2"),
        lane="mail",
        id="id",
        carrier="mail",
        origin="test",
        body="text",
        about={"to": to, "subject": "s"},
        first_ms=0,
        due_ms=0,
    )


@contextmanager
def peer(*answers: bytes, close: bool = False) -> Iterator[int]:
    """A port where somebody says these and then nothing; or hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        connections: list[socket.socket] = []

        def serve() -> None:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            connections.append(connection)
            for answer in answers:
                connection.sendall(answer)
            if close:
                connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        thread.join()
        for connection in connections:
            connection.close()


def test_the_servers_answer_is_told() -> None:
    with smtp_server() as mailbox:
        outcome = carried(port=mailbox.port)
    assert outcome == Outcome(verdict=Verdict.DELIVERED, message="2.0.0 Ok: queued as 1")
    assert mailbox.accepted[0]["Date"] == "Thu, 01 Jan 2026 00:00:00 +0000"


def test_a_refused_recipient_is_given_up_and_a_busy_server_is_not() -> None:
    with smtp_server() as mailbox:
        refused, busy = carried("refused@example.com", port=mailbox.port), carried("busy@e.com", port=mailbox.port)
    assert refused.verdict is Verdict.NEVER
    assert "550 5.1.1 nobody here" in refused.message
    assert busy.verdict is Verdict.AGAIN
    assert "451 4.7.1 come back later" in busy.message


def test_a_certificate_that_nobody_vouches_for_gets_no_mail(tmp_path: Path) -> None:
    with smtp_server("tls", self_signed(tmp_path)) as mailbox:
        outcome = carried(port=mailbox.port, tls="tls")
    assert outcome.verdict is Verdict.AGAIN
    assert "certificate" in outcome.message
    assert mailbox.accepted == []


def test_a_server_without_starttls_gets_no_mail_in_the_clear() -> None:
    with smtp_server() as mailbox:
        outcome = carried(port=mailbox.port, tls="starttls")
    assert outcome.verdict is Verdict.AGAIN
    assert "STARTTLS" in outcome.message
    assert mailbox.accepted == []


def test_a_wrong_password_waits_for_a_right_one() -> None:
    with smtp_server(login=True) as mailbox:
        outcome = carried(port=mailbox.port, username=USER, password="wrong")
    assert outcome.verdict is Verdict.AGAIN
    assert "The login failed: 535" in outcome.message


def test_a_server_that_is_away_hangs_hangs_up_or_speaks_nonsense_is_tried_again() -> None:
    assert carried(port=free_port()).verdict is Verdict.AGAIN
    with peer() as port:
        outcome = carried(port=port, time_limit_s=0.2)
    assert (outcome.verdict, outcome.code) == (Verdict.AGAIN, "TIMEOUT")
    with peer(b"220 hello\r\n", close=True) as port:
        assert carried(port=port).verdict is Verdict.AGAIN
    with peer(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        assert carried(port=port).verdict is Verdict.AGAIN


def test_a_password_file_that_is_gone_says_so(tmp_path: Path) -> None:
    with smtp_server() as mailbox:
        outcome = carried(port=mailbox.port, username=USER, password_file=str(tmp_path / "gone"))
    assert outcome.verdict is Verdict.AGAIN
    assert "gone" in outcome.message


def test_without_a_server_mails_wait_and_cost_nothing() -> None:
    carrier = MailCarrier(MailSettings(), lambda: datetime(2026, 1, 1, tzinfo=UTC))
    mail = outbound("me@example.com")
    first, later = asyncio.run(carrier.carry(mail)), asyncio.run(carrier.carry(successor(mail, attempts=1)))
    assert (first.verdict, later.verdict) == (Verdict.AGAIN, Verdict.NOT_YET)
    assert first.message == later.message == "no mail server is configured: set mail.host"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"tls": "ssl"}, "mail.tls must be one of none, starttls, tls"),
        ({"port": 70_000}, "mail.port"),
        ({"from_address": ""}, "mail.from_address"),
        ({"from_address": "a@b\nc"}, "mail.from_address"),
        ({"username": "u"}, "go together"),
        ({"username": "u", "password": "p", "password_file": "f"}, "both set"),
        ({"username": "u", "password": "p"}, "unencrypted"),
        ({"time_limit_s": 0}, "mail.time_limit_s"),
    ],
)
def test_wrong_settings_are_told(settings: dict[str, Any], said: str) -> None:
    given = {"host": "mail.example.com", "from_address": SENDER, **settings}
    assert said in complaint(MailSettings(**given))


def test_right_settings_are_right() -> None:
    assert complaint(MailSettings()) == ""
    login: Any = {"username": "u", "password": "p"}
    assert complaint(MailSettings(host="mail.example.com", from_address=SENDER, tls="starttls", **login)) == ""
    assert complaint(MailSettings(host="localhost", from_address=SENDER, **login)) == ""
