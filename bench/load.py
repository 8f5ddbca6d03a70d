"""A load of ready-made requests over keep-alive connections: as little client as possible beside the server."""

import asyncio
import json
import time
from typing import Any, cast
from urllib.parse import urlsplit

AUTHORIZATION = (
    "AWS4-HMAC-SHA256 Credential=111122223333/20260101/us-west-2/events/aws4_request, "
    "SignedHeaders=host;x-amz-date;x-amz-target, Signature=" + "0" * 64
)


def detail(number: int, pad_bytes: int = 700) -> str:
    """A HyperPod-like event detail, about 1 KB with its envelope; with spaces, as `json.dumps` writes them unasked."""
    return json.dumps(
        {
            "ClusterName": f"c-{number % 100}",
            "ClusterArn": "arn:aws:sagemaker:us-west-2:111122223333:cluster/ac7vzqgh29mf",
            "Number": number,
            "Padding": "x" * pad_bytes,
        }
    )


def put_events(endpoint: str, entries: int, number: int = 0, source: str = "bench") -> bytes:
    """One PutEvents call, as bytes on the wire."""
    listed = [{"Source": source, "DetailType": "Bench", "Detail": detail(number + place)} for place in range(entries)]
    return call(endpoint, "AWSEvents.PutEvents", {"Entries": listed})


def call(endpoint: str, target: str, body: dict[str, Any]) -> bytes:
    raw = json.dumps(body).encode()
    head = (
        f"POST / HTTP/1.1\r\nHost: {urlsplit(endpoint).netloc}\r\nX-Amz-Target: {target}\r\n"
        f"Content-Type: application/x-amz-json-1.1\r\nAuthorization: {AUTHORIZATION}\r\n"
        f"X-Amz-Date: 20260101T000000Z\r\nContent-Length: {len(raw)}\r\n\r\n"
    )
    return head.encode() + raw


class _Client(asyncio.Protocol):
    """One connection: sends the next request when the answer is whole, until the end of time."""

    def __init__(self, requests: list[bytes], end: float, latencies: list[float], done: "asyncio.Future[None]") -> None:
        self._requests, self._end, self._latencies, self._done = requests, end, latencies, done
        self._place, self._buffer, self._sent = 0, b"", 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's transports do not inherit from it
        self._send()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._requests[self._place % len(self._requests)])
        self._place += 1

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        if len(rest) < length:
            return
        if not head.startswith(b"HTTP/1.1 200"):
            raise AssertionError(f"the server answers {head[:200]!r} {rest[:300]!r}")
        self._buffer = b""
        now = time.perf_counter()
        self._latencies.append(now - self._sent)
        if now < self._end:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_result(None)


async def _run(endpoint: str, requests: list[bytes], connections: int, seconds: float) -> list[float]:
    where = urlsplit(endpoint)
    assert where.hostname, "an endpoint names its host"
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    end = time.perf_counter() + seconds
    finished = [loop.create_future() for _ in range(connections)]
    for done in finished:

        def client(done: "asyncio.Future[None]" = done) -> _Client:
            return _Client(requests, end, latencies, done)

        await loop.create_connection(client, where.hostname, where.port or 80)
    await asyncio.gather(*finished)
    return latencies


def drive(endpoint: str, requests: list[bytes], connections: int, seconds: float) -> list[float]:
    """Seconds each call took, all connections together; as many calls as fit into the time."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(endpoint, requests, connections, seconds))


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _asked(stream: Stream, request: bytes) -> None:
    """One call, until its answer is whole."""
    reader, writer = stream
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    body = await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
    assert head.startswith(b"HTTP/1.1 200"), f"the server answers {head[:200]!r} {body[:300]!r}"


async def _once_each(endpoint: str, requests: list[bytes], connections: int) -> None:
    where = urlsplit(endpoint)
    waiting = iter(requests)

    async def some() -> None:
        stream = await asyncio.open_connection(where.hostname, where.port)
        for request in waiting:
            await _asked(stream, request)
        stream[1].close()

    await asyncio.gather(*(some() for _ in range(connections)))


def once_each(endpoint: str, requests: list[bytes], connections: int = 32) -> None:
    """Each request once, in no order."""
    asyncio.run(_once_each(endpoint, requests, connections))


async def _paced(endpoint: str, rate: float, seconds: float) -> int:
    where = urlsplit(endpoint)
    streams = [await asyncio.open_connection(where.hostname, where.port) for _ in range(16)]
    free: asyncio.Queue[Stream] = asyncio.Queue()
    for stream in streams:
        free.put_nowait(stream)
    began = time.perf_counter()

    async def one(number: int, stream: Stream) -> None:
        body = json.dumps({"Number": number, "Sent": time.time()} | {"Padding": "x" * 700})
        entry = {"Source": "bench", "DetailType": "Bench", "Detail": body}
        await _asked(stream, call(endpoint, "AWSEvents.PutEvents", {"Entries": [entry]}))
        free.put_nowait(stream)

    tasks = []
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(one(number, await free.get())))
    await asyncio.gather(*tasks)
    for _, writer in streams:
        writer.close()
    return len(tasks)


def paced(endpoint: str, rate: float, seconds: float) -> int:
    """Single events at a fixed rate, whatever the server does; how many. Each tells in `Sent` when it was sent."""
    return asyncio.run(_paced(endpoint, rate, seconds))


def percentile(values: list[float], share: float) -> float:
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]
