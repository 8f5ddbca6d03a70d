"""An HTTP endpoint on a loopback port that answers as a test tells it to: well, badly, late, or not at all."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from tests.harness import eventually


class Heard(NamedTuple):
    path: str
    headers: dict[str, str]
    body: str
    at_s: float  # on this process's clock

    @property
    def envelope(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


Answer = Callable[[BaseHTTPRequestHandler], None]


def status(code: int, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def body(text: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text.encode())

    return answer


def hangs_up(request: BaseHTTPRequestHandler) -> None:
    request.close_connection = True


def garbage(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"\x00\xff nonsense\r\n\r\n")
    request.close_connection = True


class Endpoint:
    """`plans` are the answers to come, by path; with none left it answers 200."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.plans: dict[str, list[Answer]] = {}
        self.gone = threading.Event()  # ends those that hang
        self.url = ""

    def hangs(self, request: BaseHTTPRequestHandler) -> None:
        self.gone.wait(60)
        request.close_connection = True

    def at(self, path: str, kind: str | None = None) -> list[Heard]:
        found = [one for one in list(self.heard) if one.path == path]
        return [one for one in found if kind is None or one.headers.get("x-amz-sns-message-type") == kind]

    def wait_for(self, path: str, number: int = 1, kind: str | None = None) -> list[Heard]:
        def enough() -> list[Heard]:
            found = self.at(path, kind)
            return found if len(found) >= number else []

        found: list[Heard] = eventually(enough, f"{number} posts to {path}")
        return found


@contextmanager
def http_endpoint(pair: tuple[Path, Path] | None = None) -> Iterator[Endpoint]:
    """With the files of a certificate and its key it speaks HTTPS."""
    endpoint = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            endpoint.heard.append(Heard(self.path, headers, body, time.perf_counter()))
            plan = endpoint.plans.get(self.path)
            (plan.pop(0) if plan else status(200))(self)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        endpoint.url = f"{'https' if pair else 'http'}://127.0.0.1:{server.server_port}"
        if pair is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*pair)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield endpoint
        finally:
            endpoint.gone.set()
            server.shutdown()
            thread.join()
