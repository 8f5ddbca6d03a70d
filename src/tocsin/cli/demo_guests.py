"""The demo's mail server and Slack room: they take what comes on loopback, keep it, and answer as the real ones do.

Only as much SMTP as one polite client needs.
"""

import email
import email.policy
import json
import queue
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ANSWERS = {
    "EHLO": "250 demo",
    "HELO": "250 demo",
    "MAIL": "250 ok",
    "RCPT": "250 ok",
    "RSET": "250 ok",
    "NOOP": "250 ok",
}


class MailServer(socketserver.ThreadingTCPServer):
    """Mails as they come, in `mails`."""

    daemon_threads = True

    def __init__(self) -> None:
        self.mails: queue.Queue[EmailMessage] = queue.Queue()
        super().__init__(("127.0.0.1", 0), _Session)

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Session(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self._say("220 demo ESMTP")
        while line := self.rfile.readline():
            verb = line[:4].decode("ascii", "replace").upper()
            if verb == "DATA":
                self._say("354 go on")
                self.server.mails.put(_mail(self._content()))
                self._say("250 taken")
            elif verb == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say(ANSWERS.get(verb, "502 not here"))

    def _content(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        return b"".join(lines)

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


def _mail(content: bytes) -> EmailMessage:
    found = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(found, EmailMessage), "the default policy makes these"
    return found


class SlackRoom(ThreadingHTTPServer):
    """Posts to an incoming webhook as they come, in `cards`."""

    daemon_threads = True

    def __init__(self) -> None:
        self.cards: queue.Queue[dict[str, Any]] = queue.Queue()
        super().__init__(("127.0.0.1", 0), _Hook)

    @property
    def webhook(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/services/T0/B0/demo"


class _Hook(BaseHTTPRequestHandler):
    server: SlackRoom

    def do_POST(self) -> None:
        self.server.cards.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *_values: object) -> None:  # noqa: A002 - the base class calls it so
        """Nothing: the narration is the demo's own."""


@contextmanager
def guests() -> Iterator[tuple[MailServer, SlackRoom]]:
    with MailServer() as mail, SlackRoom() as slack:
        for one in (mail, slack):
            threading.Thread(target=one.serve_forever, daemon=True).start()
        try:
            yield mail, slack
        finally:
            mail.shutdown()
            slack.shutdown()


def card_text(card: dict[str, Any]) -> list[str]:
    """A card as lines of text."""
    lines: list[str] = []
    for block in card["attachments"][0]["blocks"]:
        parts = [block.get("text"), *block.get("fields", []), *block.get("elements", [])]
        lines += [line for part in parts if part for line in _text(part).splitlines()]
    return lines


def card_buttons(card: dict[str, Any]) -> dict[str, str]:
    """The addresses that its buttons open, by what stands on them."""
    parts = [part for block in card["attachments"][0]["blocks"] for part in block.get("elements", [])]
    return {part["text"]["text"]: part["url"] for part in parts if part["type"] == "button"}


def _text(part: dict[str, Any]) -> str:
    text = part["text"]
    return str(text["text"] if isinstance(text, dict) else text).replace("*\n", "* ")
