"""Mails over SMTP. The outbox hands over what is owed; whatever server the settings name takes it.

Knows nothing of topics: `about` of an outbound is a `core/topics/mails.py` Mail without its text, which is the body.
"""

import asyncio
import logging
import ssl
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from pathlib import Path

import msgspec
from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPResponseException,
)
from msgspec import Struct

from tocsin.core.topics.mails import Mail
from tocsin.core.topics.subscriptions import ADDRESS
from tocsin.model.outbound import Outbound, Outcome, Verdict

log = logging.getLogger(__name__)

PORTS = {"none": 25, "starttls": 587, "tls": 465}
LOOPBACK = ("localhost", "127.0.0.1", "::1")
# Connections to the mail server at once: what small servers take from one client.
CONNECTIONS_MAX = 8
NO_SERVER = "no mail server is configured: set mail.host"
NO_SERVER_PAUSE_S = 60.0
TIMEOUT, FROM_TARGET, NO_RESOURCE = "TIMEOUT", "ERROR_FROM_TARGET", "NO_RESOURCE"


class MailSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[mail]` of the settings file. Without a host, mails wait."""

    host: str = ""
    port: int = 0  # 0: 25, with starttls 587, with tls 465
    tls: str = "none"
    ca_file: str = ""  # who the server's certificate is believed from; empty: whom this machine believes
    username: str = ""
    password: str = ""
    password_file: str = ""
    from_address: str = ""
    time_limit_s: float = 30.0

    @property
    def secret(self) -> str:
        """Raises OSError when the file cannot be read."""
        return Path(self.password_file).expanduser().read_text().strip() if self.password_file else self.password


def complaint(settings: MailSettings) -> str:
    """What is wrong with the settings; empty when nothing is."""
    if settings.tls not in PORTS:
        return f"mail.tls must be one of {', '.join(PORTS)}, not {settings.tls!r}"
    if not 0 <= settings.port <= 65535:
        return f"mail.port must be 0 to 65535, not {settings.port}"
    if settings.time_limit_s <= 0:
        return f"mail.time_limit_s must be above 0, not {settings.time_limit_s:g}"
    if settings.password and settings.password_file:
        return "mail.password and mail.password_file are both set: which one is it?"
    if bool(settings.username) != bool(settings.password or settings.password_file):
        return "mail.username and mail.password (or mail.password_file) go together"
    if settings.host and not ADDRESS.fullmatch(settings.from_address):
        return f"mail.from_address must be the address that mails come from, not {settings.from_address!r}"
    if settings.username and settings.tls == "none" and settings.host not in LOOPBACK:
        return "mail.username would go over the network unencrypted: set mail.tls to starttls or tls"
    return ""


class MailCarrier:
    def __init__(self, settings: MailSettings, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._now = now
        self._room = asyncio.Semaphore(CONNECTIONS_MAX)
        self._told = False
        self.counts: Counter[str] = Counter(accepted=0, refused=0, failed=0, unconfigured=0)

    async def carry(self, outbound: Outbound) -> Outcome:
        if not self._settings.host:
            self._tell()
            # The reason is kept with the mail once; after that its lane rests, which costs nothing.
            verdict = Verdict.NOT_YET if outbound.attempts else Verdict.AGAIN
            return Outcome(verdict=verdict, code=NO_RESOURCE, message=NO_SERVER, after_s=NO_SERVER_PAUSE_S)
        async with self._room:
            outcome = await self._tried(outbound)
        became = {Verdict.DELIVERED: "accepted", Verdict.NEVER: "refused"}.get(outcome.verdict, "failed")
        self.counts[became] += 1
        return outcome

    def _tell(self) -> None:
        """Say it, but not once for each mail."""
        self.counts["unconfigured"] += 1
        if not self._told:
            self._told = True
            log.warning("mails wait: %s", NO_SERVER)

    async def _tried(self, outbound: Outbound) -> Outcome:
        limit_s = self._settings.time_limit_s
        try:
            async with asyncio.timeout(limit_s):
                answer = await self._sent(self.message(outbound))
            return Outcome(verdict=Verdict.DELIVERED, message=answer)
        except TimeoutError:
            message = f"The mail server did not take the mail within {limit_s:g} seconds."
            return Outcome(verdict=Verdict.AGAIN, code=TIMEOUT, message=message)
        except SMTPAuthenticationError as error:  # the settings are wrong, not the mail
            return Outcome(verdict=Verdict.AGAIN, code=FROM_TARGET, message=f"The login failed: {_answer(error)}")
        except SMTPRecipientsRefused as error:
            return _judged(error.recipients[0])
        except SMTPResponseException as error:
            return _judged(error)
        except (SMTPException, OSError) as error:
            return Outcome(verdict=Verdict.AGAIN, code=FROM_TARGET, message=f"{type(error).__name__}: {error}")

    def message(self, outbound: Outbound) -> EmailMessage:
        """Raises ValueError for what would break out of a header; nothing such is ever owed."""
        mail = msgspec.convert({**outbound.about, "text": outbound.body}, Mail)
        sender = self._settings.from_address
        message = EmailMessage(policy=SMTP_POLICY)
        message["From"] = Address(mail.sender_name, addr_spec=sender)
        message["To"] = Address(addr_spec=mail.to)
        message["Subject"] = mail.subject
        message["Date"] = format_datetime(self._now())
        message["Message-ID"] = f"<{outbound.id}@{sender.rpartition('@')[2]}>"  # the same whenever it is tried
        message["Auto-Submitted"] = "auto-generated"
        if mail.unsubscribe:
            message["List-Unsubscribe"] = f"<{mail.unsubscribe}>"
            message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message.set_content(mail.text)
        if mail.html:
            message.add_alternative(mail.html, subtype="html")
        return message

    async def _sent(self, message: EmailMessage) -> str:
        """The server's answer to the mail."""
        settings = self._settings
        client = SMTP(
            hostname=settings.host,
            port=settings.port or PORTS[settings.tls],
            use_tls=settings.tls == "tls",
            start_tls=settings.tls == "starttls",
            tls_context=_context(settings),
            timeout=settings.time_limit_s,
            username=settings.username or None,
            password=settings.secret if settings.username else None,
        )
        try:
            await client.connect()
            _, answer = await client.send_message(message)
        finally:
            client.close()
        return answer.strip()


def _context(settings: MailSettings) -> ssl.SSLContext | None:
    if settings.tls == "none":
        return None
    return ssl.create_default_context(cafile=str(Path(settings.ca_file).expanduser()) if settings.ca_file else None)


def _judged(error: SMTPResponseException) -> Outcome:
    """5xx is for ever, 4xx for now (RFC 5321 §4.2.1)."""
    verdict = Verdict.NEVER if 500 <= error.code < 600 else Verdict.AGAIN
    whom = f"{error.recipient} is refused: " if isinstance(error, SMTPRecipientRefused) else ""
    return Outcome(verdict=verdict, code=FROM_TARGET, message=whom + _answer(error))


def _answer(error: SMTPResponseException) -> str:
    return f"{error.code} {' '.join(error.message.split())}"
