"""InstanceConnectivity: plain TCP to every peer, from our own address: reached, how fast, and what arrived is right.

The peer's agent answers (answering.py): a frame is its length and its bytes, the answer to it their checksum.
"""

import contextlib
import os
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

from tocsin.model.deep import CheckResult, DeepKind, Peer
from tocsin.model.link import RunDeepCheck

HEAD = struct.Struct("!I")
FRAME_BYTES = 1 << 20
ANSWER_LIMIT_S = 10.0
# Peers take their orders when we do, and a busy machine takes its time.
CONNECT_WITHIN_S = 30.0
RETRY_S = 0.1
PINGS = 20


def connect(order: RunDeepCheck, _: Path) -> Iterator[CheckResult]:
    if not order.peers:
        why = "no other node of the group can be reached for: it takes two"
        yield CheckResult(kind=DeepKind.CONNECTIVITY, test="tcp", outcome="skipped", detail=why)
    end = time.monotonic() + CONNECT_WITHIN_S
    for peer in order.peers:
        yield _tried(order, peer, end)


def _tried(order: RunDeepCheck, peer: Peer, end: float) -> CheckResult:
    test, kind = f"tcp to {peer.instance_id}", DeepKind.CONNECTIVITY
    try:
        with contextlib.closing(reached(order, peer, order.port, end)) as link:
            _exchange(link, order.secret.encode())
            latency_ms = _latency_ms(link)
            speed = _speed(link, order.seconds / len(order.peers))
    except OSError as error:
        return CheckResult(kind=kind, test=test, outcome="failed", detail=str(error), peer=peer.instance_id)
    return CheckResult(
        kind=kind,
        test=test,
        outcome="passed",
        detail=f"latency {latency_ms:.3f} ms",
        metric="tcp-mbs",
        value=speed,
        unit="MB/s",
        peer=peer.instance_id,
    )


def reached(order: RunDeepCheck, peer: Peer, port: int, end: float) -> socket.socket:
    """Raises OSError when it cannot be reached in time."""
    while True:
        try:
            link = socket.create_connection((peer.address, port), ANSWER_LIMIT_S, (order.address, 0))
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return link
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(RETRY_S)


def _exchange(link: socket.socket, payload: bytes) -> None:
    """Raises OSError when it does not arrive as it was sent."""
    link.sendall(HEAD.pack(len(payload)) + payload)
    answer = b""
    while len(answer) < HEAD.size:
        more = link.recv(HEAD.size - len(answer))
        if not more:
            raise OSError("the peer closed the connection")
        answer += more
    if HEAD.unpack(answer)[0] != zlib.crc32(payload):
        raise OSError(f"{len(payload)} bytes arrived as others than were sent")


def _latency_ms(link: socket.socket) -> float:
    """The shortest of some."""
    times = []
    for _ in range(PINGS):
        began = time.monotonic()
        _exchange(link, b"?")
        times.append(time.monotonic() - began)
    return min(times) * 1000


def _speed(link: socket.socket, seconds: float) -> float:
    payload = os.urandom(FRAME_BYTES)
    began, sent = time.monotonic(), 0
    while not sent or time.monotonic() < began + seconds:
        _exchange(link, payload)
        sent += FRAME_BYTES
    return sent / 1e6 / (time.monotonic() - began)
