"""The HTTP client of all carriers, against a real server."""

import gzip

from tests.outbox.post import run
from tests.peer import Answer, http_peer
from tocsin.targets.http import OutsideSettings, beginning, certificates, http_client


def test_answers_are_neither_asked_for_packed_nor_unpacked() -> None:
    packed = gzip.compress(b"x" * 10_000_000).decode("latin-1")

    async def main() -> None:
        with http_peer() as peer:
            raw = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n" + packed.encode("latin-1")
            peer.answers["/bomb"] = [Answer(raw=raw)]
            async with http_client(certificates(OutsideSettings())) as client, client.get(f"{peer.url}/bomb") as answer:
                assert await answer.content.read(2) == b"\x1f\x8b"
            assert "Accept-Encoding" not in peer.at("/bomb")[0].headers

    run(main())


def test_no_cookie_is_kept() -> None:
    async def main() -> None:
        with http_peer() as peer:
            peer.answers["/"] = [Answer(headers={"Set-Cookie": "a=b"})]
            async with http_client(certificates(OutsideSettings())) as client:
                for _ in range(2):
                    async with client.get(f"{peer.url}/"):
                        pass
            assert [one.headers.get("Cookie") for one in peer.at("/", 2)] == [None, None]

    run(main())


def test_the_beginning_of_an_answer_is_read_however_it_comes() -> None:
    async def main() -> None:
        with http_peer() as peer:
            chunks = b"".join(b"1\r\n%d\r\n" % number for number in range(10))
            raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
            peer.answers["/"] = [Answer(raw=raw)]
            async with http_client(certificates(OutsideSettings())) as client:
                for most, expected in ((4, b"0123"), (100, b"0123456789")):
                    async with client.get(f"{peer.url}/") as answer:
                        assert await beginning(answer, most) == expected

    run(main())
