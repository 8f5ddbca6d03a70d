"""A real SMTP server on a loopback port, for tests: plain, with STARTTLS or TLS, with a login, with refusals."""

import asyncio
import email
import email.policy
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from tests.aside import accepts_no_more, aside
from tests.harness import eventually

USER, PASSWORD = "night", "correct horse"


class Mailbox:
    """What was accepted, in order. Addresses that begin with `refused` get 550, with `busy` 451 the first time."""

    def __init__(self) -> None:
        self.accepted: list[EmailMessage] = []
        self.tries: list[str] = []
        self.logins: list[str] = []
        self.port = 0
        self._lock = threading.Lock()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        self.tries.append(address)
        if address.startswith("refused"):
            return "550 5.1.1 nobody here"
        if address.startswith("busy") and self.tries.count(address) == 1:
            return "451 4.7.1 come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        with self._lock:
            self.accepted.append(message)
        return f"250 2.0.0 Ok: queued as {len(self.accepted)}"

    def to(self, address: str) -> list[EmailMessage]:
        with self._lock:
            return [one for one in self.accepted if one["To"] == address]

    def wait_for(self, address: str, number: int = 1) -> list[EmailMessage]:
        """The mails to the address, once there are so many."""

        def enough() -> list[EmailMessage]:
            found = self.to(address)
            return found if len(found) >= number else []

        found: list[EmailMessage] = eventually(enough, f"{number} mails to {address}")
        return found

    def authenticated(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        fine = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        self.logins.append("right" if fine else "wrong")
        return AuthResult(success=fine, handled=False)


def text_of(message: EmailMessage, kind: str = "plain") -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


@contextmanager
def smtp_server(tls: str = "none", pair: tuple[Path, Path] | None = None, login: bool = False) -> Iterator[Mailbox]:
    """`pair`: files of the certificate and its key."""
    mailbox = Mailbox()
    context = None
    if pair is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pair)
    more: dict[str, Any] = {"authenticator": mailbox.authenticated, "auth_require_tls": False} if login else {}
    if tls == "starttls":
        more |= {"tls_context": context, "require_starttls": True}
    with aside(lambda: _listening(mailbox, context if tls == "tls" else None, more)):
        yield mailbox


@asynccontextmanager
async def _listening(mailbox: Mailbox, context: ssl.SSLContext | None, more: dict[str, Any]) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    connected: list[SMTP] = []

    def protocol() -> SMTP:
        connected.append(SMTP(mailbox, hostname="mail.test", loop=loop, **more))
        return connected[-1]

    listening = await loop.create_server(protocol, "127.0.0.1", 0, ssl=context)
    mailbox.port = listening.sockets[0].getsockname()[1]
    try:
        yield
    finally:
        await accepts_no_more(listening)
        listening.close()
        for one in connected:
            if isinstance(one.transport, asyncio.Transport):
                one.transport.abort()
