"""The agent's end of the wire against a real WebSocket server."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from tests.agent.agent_world import ORDER, FakeServer, order, texts
from tests.harness import WAIT_S
from tocsin.agent import link as link_file
from tocsin.agent.link import Link
from tocsin.agent.spool import Spool
from tocsin.model.link import Ack, Halt, Order, RunScript, ScriptOutput, Welcome


def output(text: str) -> ScriptOutput:
    return ScriptOutput(n=0, work="w", lines=((0, text),))


class Node:
    """A link that runs, with the orders it took."""

    def __init__(self, server: FakeServer, directory: Path) -> None:
        self.spool = Spool(directory / "spool")
        self.taken: list[Order] = []
        self.link = Link(server.settings(directory), "boot-1", self.spool, self.taken.append)
        self.running = asyncio.create_task(self.link.run())

    async def unlink(self) -> None:
        self.running.cancel()
        await asyncio.wait([self.running])

    async def stop(self) -> None:
        await self.unlink()
        self.spool.close()


def together(directory: Path, story: Callable[[FakeServer, Node], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(WAIT_S), FakeServer() as server:
            node = Node(server, directory)
            try:
                await story(server, node)
            finally:
                await node.stop()

    asyncio.run(main())


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_file, "RETRY_FIRST_S", 0.01)
    monkeypatch.setattr(link_file, "RETRY_MAX_S", 0.05)


def test_hello_says_who_it_is(tmp_path: Path) -> None:
    async def story(server: FakeServer, node: Node) -> None:
        await server.until(lambda: bool(server.hellos))
        hello = server.hellos[0]
        assert (hello.instance_id, hello.token, hello.boot) == ("i-0123456789abcdef0", "secret", "boot-1")

    together(tmp_path, story)


def test_reports_go_out_and_are_let_go_when_acknowledged(tmp_path: Path) -> None:
    async def story(server: FakeServer, node: Node) -> None:
        for text in "abc":
            node.link.file(output(text))
        await server.until(lambda: texts(server.applied) == ["a", "b", "c"])
        node.link.file(output("d"))
        await server.until(lambda: server.acked == 4)

    together(tmp_path, story)


def test_what_was_not_acknowledged_is_sent_again_after_a_cut_and_takes_effect_once(tmp_path: Path) -> None:
    async def story(server: FakeServer, node: Node) -> None:
        node.link.file(output("a"))
        await server.until(lambda: server.acked == 1)
        server.acking = False
        node.link.file(output("b"))
        node.link.file(output("c"))
        await server.until(lambda: len(server.seen) == 3)
        server.acking = True
        server.cut()
        await server.until(lambda: server.acked == 3)
        assert texts(server.seen) == ["a", "b", "c", "b", "c"]
        assert texts(server.applied) == ["a", "b", "c"]
        assert len(server.hellos) == 2

    together(tmp_path, story)


def test_a_server_that_is_away_is_found_again(tmp_path: Path) -> None:
    async def story(server: FakeServer, node: Node) -> None:
        await server.until(lambda: bool(server.hellos))
        await server.down()
        node.link.file(output("while it was away"))
        await server.up()
        await server.until(lambda: texts(server.applied) == ["while it was away"])

    together(tmp_path, story)


def test_beats_come_at_the_interval_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_file, "BEATS_MISSED_MAX", 1000)  # however slow this machine is

    async def story(server: FakeServer, node: Node) -> None:
        server.beat_interval_s = 0.05
        await server.until(lambda: server.beats >= 4)
        assert len(server.hellos) == 1

    together(tmp_path, story)


def test_a_silent_server_is_left_after_three_beats(tmp_path: Path) -> None:
    async def story(server: FakeServer, node: Node) -> None:
        server.beat_interval_s = 0.05
        server.answering = False
        await server.until(lambda: len(server.hellos) >= 2)

    together(tmp_path, story)


def test_an_order_given_twice_is_taken_once(tmp_path: Path) -> None:
    async def story(server: FakeServer, node: Node) -> None:
        server.orders = [ORDER, ORDER]
        await server.until(lambda: bool(server.hellos))
        server.cut()
        await server.until(lambda: len(server.hellos) >= 2)
        await server.send(order(work="lifecycle/2"))
        node.link.file(output("after the orders"))
        await server.until(lambda: server.acked == 1)
        assert [order.work for order in node.taken if isinstance(order, RunScript)] == ["lifecycle/1", "lifecycle/2"]

    together(tmp_path, story)


@pytest.mark.parametrize("frame", [Ack(n=99), Welcome(acked=0, beat_interval_s=1)], ids=["ack", "welcome"])
def test_a_server_that_talks_nonsense_is_greeted_anew(tmp_path: Path, frame: msgspec.Struct) -> None:
    async def story(server: FakeServer, node: Node) -> None:
        await server.until(lambda: bool(server.hellos))
        assert isinstance(frame, Ack | Welcome)
        await server.send(frame)
        await server.until(lambda: len(server.hellos) >= 2)

    together(tmp_path, story)


def test_halt_ends_the_link(tmp_path: Path) -> None:
    async def story(server: FakeServer, node: Node) -> None:
        server.orders = [Halt(reason="unknown")]
        assert await node.running == Halt(reason="unknown")

    together(tmp_path, story)


def test_flush_waits_until_all_is_on_its_way(tmp_path: Path) -> None:
    async def story(server: FakeServer, node: Node) -> None:
        for number in range(50):
            node.link.file(output(str(number)))
        await node.link.flush(WAIT_S)
        await node.unlink()
        await server.until(lambda: len(server.seen) == 50)

    together(tmp_path, story)


def test_a_server_that_takes_no_bytes_is_left_too(tmp_path: Path) -> None:
    """More is on its way than the system's buffers hold, so that every write waits, the farewell too."""

    async def story(server: FakeServer, node: Node) -> None:
        server.beat_interval_s = 0.05
        server.answering = False
        for _ in range(8):
            node.link.file(output("x" * 900_000))
        await server.until(lambda: len(server.hellos) >= 2)

    together(tmp_path, story)


def test_a_refused_token_is_said_once_and_tried_ever_less_often(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_file, "REFUSED_RETRY_MAX_S", 0.2)
    naps: list[float] = []
    rest = asyncio.sleep

    async def sleep(seconds: float) -> None:
        naps.append(seconds)
        await rest(0)

    async def story(server: FakeServer, node: Node) -> None:
        server.refusing = True
        with monkeypatch.context() as clock:
            clock.setattr(asyncio, "sleep", sleep)
            await server.until(lambda: len(server.hellos) >= 15)
        assert [record.levelname for record in caplog.records if "refused" in record.message] == ["WARNING"]
        assert 0.05 < max(naps) <= 0.2
        server.refusing = False
        node.link.file(output("welcome at last"))
        await server.until(lambda: texts(server.applied) == ["welcome at last"])

    together(tmp_path, story)


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    """Whoever is there would be told our token."""

    async def story(server: FakeServer, node: Node) -> None:
        async with FakeServer() as stranger:
            server.elsewhere = f"ws://127.0.0.1:{stranger.port}/_tocsin/node"
            server.cut()
            await server.until(lambda: server.redirected >= 2)
            assert stranger.hellos == []

    together(tmp_path, story)
