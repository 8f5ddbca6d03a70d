"""InstanceConnectivity: an all-reduce over the nodes that are checked together, each hop verified, over plain TCP.

Every node sends to the next in the ring and hears from the one before it. The sums that arrive are known beforehand, so
who gets a wrong one names the node that made it. Where all have PyTorch, the same is done through it (collective.py).
"""

import contextlib
import hashlib
import hmac
import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tocsin.agent.deep.network import ANSWER_LIMIT_S, CONNECT_WITHIN_S, reached
from tocsin.model.deep import Peer
from tocsin.model.link import RunDeepCheck

# Of the vector there is a chunk for each node, and its sum goes round the ring twice.
CHUNK_BYTES = 1 << 20
VECTOR_BYTES_MAX = 256 << 20
LANE_BYTES, VALUE_BYTES = 8, 4  # the sum of 4 bytes each of many nodes has room in 8
NUMBER = struct.Struct("!Q")


class WrongSum(Exception):
    """What a node sent is not the sum of what it got and what is its own."""

    def __init__(self, culprit: Peer, what: str) -> None:
        super().__init__(what)
        self.culprit = culprit


class Ring:
    """`members` are in the same order for all; we are one of them. Raises OSError when a neighbour is not there."""

    def __init__(self, order: RunDeepCheck) -> None:
        self._members = order.ring
        self.size = len(order.ring)
        self.rank = next(at for at, one in enumerate(order.ring) if one.address == order.address)
        self._order = order
        self._sending = ThreadPoolExecutor(1)
        self._badge = self._known("badge", 32)
        self._chunk_bytes = min(CHUNK_BYTES, VECTOR_BYTES_MAX // self.size) // LANE_BYTES * LANE_BYTES
        self._bases = [self._base(chunk) for chunk in range(self.size)]
        self.spent_s = 0.0

    @property
    def left(self) -> Peer:
        return self._members[self.rank - 1]

    @property
    def right(self) -> Peer:
        return self._members[(self.rank + 1) % self.size]

    @contextlib.contextmanager
    def closed(self) -> Iterator[None]:
        """Both neighbours linked. They take their orders when we do: each listens before it reaches for the next."""
        end = time.monotonic() + CONNECT_WITHIN_S
        port = self._order.port + 1
        with (
            self._sending,
            socket.create_server((self._order.address, port)) as listening,
            contextlib.closing(reached(self._order, self.right, port, end)) as self._right,
        ):
            self._right.sendall(self._badge)
            with contextlib.closing(self._heard(listening, end)) as self._left:
                yield

    def agree(self, number: int) -> int:
        """The least that anybody says."""
        for _ in range(self.size - 1):
            number = min(number, NUMBER.unpack(self._passed_on(NUMBER.pack(number), NUMBER.size))[0])
        return number

    def reduce(self) -> int:
        """Sum up once. How many bytes each node sent for it. Raises WrongSum."""
        whole, weights = self.size, [rank + 1 for rank in range(self.size)]
        own = [base * weights[self.rank] for base in self._bases]
        for step in range(whole - 1):
            given, taken = (self.rank - step) % whole, (self.rank - step - 1) % whole
            summed = self._swapped(own[given])
            of = [weights[(taken + behind) % whole] for behind in range(step + 1)]
            self._prove(summed, taken, sum(of))
            own[taken] += summed
        for step in range(whole - 1):
            given, taken = (self.rank - step + 1) % whole, (self.rank - step) % whole
            own[taken] = self._swapped(own[given])
            self._prove(own[taken], taken, sum(weights))
        return 2 * (whole - 1) * self._chunk_bytes

    def _prove(self, summed: int, chunk: int, weight: int) -> None:
        if summed != self._bases[chunk] * weight:
            raise WrongSum(self.left, f"its sum of chunk {chunk} is wrong")

    def _swapped(self, chunk: int) -> int:
        began = time.monotonic()
        heard = self._passed_on(chunk.to_bytes(self._chunk_bytes, "little"), self._chunk_bytes)
        self.spent_s += time.monotonic() - began
        return int.from_bytes(heard, "little")

    def _passed_on(self, data: bytes, size: int) -> bytes:
        """Send to the right, and hear as much from the left: at once, for they do the same."""
        sent = self._sending.submit(self._right.sendall, data)
        heard = _received(self._left, size)
        sent.result()
        return heard

    def _heard(self, listening: socket.socket, end: float) -> socket.socket:
        """The neighbour on the left; others are let go."""
        while True:
            listening.settimeout(max(0.1, end - time.monotonic()))
            link, _ = listening.accept()
            link.settimeout(ANSWER_LIMIT_S)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(OSError):
                if hmac.compare_digest(_received(link, len(self._badge)), self._badge):
                    return link
            link.close()

    def _known(self, what: str, size: int) -> bytes:
        """Known to those who have the same secret and see the same ring."""
        ids = ",".join(one.instance_id for one in self._members)
        return hashlib.shake_128(f"{self._order.secret}/{ids}/{what}".encode()).digest(size)

    def _base(self, chunk: int) -> int:
        """Numbers in lanes of a long integer, which Python adds and multiplies as fast as memory lets it."""
        values = self._known(f"chunk {chunk}", self._chunk_bytes // LANE_BYTES * VALUE_BYTES)
        lanes = bytearray(self._chunk_bytes)
        for byte in range(VALUE_BYTES):
            lanes[byte::LANE_BYTES] = values[byte::VALUE_BYTES]
        return int.from_bytes(lanes, "little")


def _received(link: socket.socket, size: int) -> bytes:
    data = bytearray(size)
    view, at = memoryview(data), 0
    while at < size:
        got = link.recv_into(view[at:])
        if not got:
            raise OSError("the peer closed the connection")
        at += got
    return bytes(data)
