"""A real HTTP server on this machine that takes deliveries, and answers as a test tells it."""

import ssl
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct, field

from tests.harness import WAIT_S


class Seen(Struct, frozen=True):
    """One request as it came."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: str


class Answer(Struct, frozen=True):
    """What is said to one request. `raw` goes out as it is, whatever HTTP asks for; who hangs says nothing."""

    status: int = 200
    body: str = "{}"
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    hangs: bool = False


class HttpPeer:
    """Answers each path what was put into `answers` for it, one after the other and the last one for ever."""

    def __init__(self, certificate: Path | None = None) -> None:
        self.seen: list[Seen] = []
        self.answers: dict[str, list[Answer]] = defaultdict(lambda: [Answer()])
        self._news = threading.Condition()
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        scheme = "https" if certificate else "http"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        peer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except (ConnectionError, ValueError):  # the client went away
                    self.close_connection = True

            def take(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                parts = urlsplit(self.path)
                seen = Seen(self.command, parts.path, parts.query, dict(self.headers.items()), body)
                self.say(peer.took(seen))

            def say(self, answer: Answer) -> None:
                if answer.hangs:
                    peer._closing.wait(WAIT_S)
                    self.close_connection = True
                elif answer.raw is not None:
                    self.wfile.write(answer.raw)
                    self.close_connection = True
                else:
                    self.send_response(answer.status)
                    for name, value in answer.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(answer.body)))
                    self.end_headers()
                    self.wfile.write(answer.body.encode())

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Quiet."""

        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"):
            setattr(Handler, f"do_{method}", Handler.take)
        return Handler

    def took(self, seen: Seen) -> Answer:
        with self._news:
            self.seen.append(seen)
            answers = self.answers[seen.path]
            self._news.notify_all()
            return answers.pop(0) if len(answers) > 1 else answers[0]

    def at(self, path: str, times: int = 1, timeout_s: float = WAIT_S) -> list[Seen]:
        """The requests for a path, once there are so many."""
        with self._news:
            there = self._news.wait_for(lambda: len(self._on(path)) >= times, timeout_s)
            assert there, f"{len(self._on(path))} of {times} requests for {path} within {timeout_s} s"
            return self._on(path)

    def _on(self, path: str) -> list[Seen]:
        return [one for one in self.seen if one.path == path]

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def http_peer(certificate: Path | None = None) -> Iterator[HttpPeer]:
    """`certificate`: a file with certificate and key, for TLS."""
    peer = HttpPeer(certificate)
    try:
        yield peer
    finally:
        peer.close()
