"""Commands on a node: at most once, exact output within bounds, ended when they must be."""

import asyncio
import itertools
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.harness import WAIT_S
from tests.processes import wait_gone
from tocsin.agent import process
from tocsin.agent.commands import COMMANDS_AT_ONCE_MAX, Commands
from tocsin.agent.process import end_leftover
from tocsin.agent.settings import AgentSettings
from tocsin.agent.spool import Spool
from tocsin.agent.streams import Stream
from tocsin.core.link import Line, Phase, Session, acknowledge, at_rest, file, hear
from tocsin.model.link import (
    CommandEnded,
    CommandOutput,
    CommandStarted,
    CommandStep,
    Report,
    RunCommand,
    ScriptOutput,
)
from tocsin.model.nodedir import COMMANDS_FOLDER, STEP_FILE

OPEN = Line(phase=Phase.OPEN, sent=1000)


def step(script: str, **changes: object) -> CommandStep:
    return replace(CommandStep(name="run", interpreter="sh", script=script, time_limit_s=WAIT_S), **changes)


def order(script: str = "true\n", work: str = "command/1", **changes: object) -> RunCommand:
    given = RunCommand(work=work, steps=(step(script),), start_within_s=60.0, output_bytes_max=1 << 20)
    return replace(given, **changes)


class Node:
    """Commands that file into a list. `full`: the disk keeps no start any more."""

    def __init__(self, directory: Path, begun: Sequence[str] = ()) -> None:
        settings = AgentSettings(instance_id="i-1", server="http://127.0.0.1:1", directory=directory, token="secret")
        self.reports: list[Report] = []
        self.full = False
        self.news = asyncio.Condition()
        self.commands = Commands(settings, self._file, begun)
        self.running = asyncio.create_task(self.commands.run())
        self._told: set[asyncio.Task[None]] = set()

    def _file(self, report: Report) -> bool:
        self.reports.append(report)
        task = asyncio.create_task(self._tell())
        self._told.add(task)
        task.add_done_callback(self._told.discard)
        return not self.full

    async def _tell(self) -> None:
        async with self.news:
            self.news.notify_all()

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(WAIT_S), self.news:
            await self.news.wait_for(true)

    async def ended(self, work: str = "command/1") -> CommandEnded:
        await self.until(lambda: self._end(work))
        found = self._end(work)
        assert found
        return found

    def _end(self, work: str) -> CommandEnded | None:
        return next((one for one in self.reports if isinstance(one, CommandEnded) and one.work == work), None)

    def text(self, stream: str = "stdout") -> str:
        some = [one for one in self.reports if isinstance(one, CommandOutput) and one.stream == stream]
        return "".join(text for one in some for _, text in one.pieces)

    async def stop(self) -> None:
        self.running.cancel()
        await asyncio.wait([self.running])


def on_a_node(directory: Path, story: Callable[[Node], Awaitable[None]], begun: Sequence[str] = ()) -> None:
    async def main() -> None:
        node = Node(directory, begun)
        try:
            await story(node)
        finally:
            await node.stop()

    asyncio.run(main())


def test_a_command_is_told_from_start_to_end(tmp_path: Path) -> None:
    async def story(node: Node) -> None:
        node.commands.take(order("printf 'a\\n\\nb'; printf e >&2; exit 4"))
        ended = await node.ended()
        assert (ended.outcome, ended.steps[0].exit_code) == ("failed", 4)
        assert isinstance(node.reports[0], CommandStarted)
        assert node.reports[-1] is ended
        assert (node.text(), node.text("stderr")) == ("a\n\nb", "e")

    on_a_node(tmp_path, story)


def test_nothing_is_left_of_a_command_but_its_reports(tmp_path: Path) -> None:
    async def story(node: Node) -> None:
        node.commands.take(order("pwd; ls"))
        await node.ended()
        assert node.text().splitlines()[0] == str(tmp_path / COMMANDS_FOLDER / "1")
        await asyncio.sleep(0)
        assert list((tmp_path / COMMANDS_FOLDER).iterdir()) == []

    on_a_node(tmp_path, story)


def test_the_agents_own_secrets_are_not_in_a_commands_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")

    async def story(node: Node) -> None:
        steps = (step("env", environment={"SSM_word": "given"}),)
        node.commands.take(order(steps=steps, environment={"TOCSIN_COMMAND_ID": "1"}))
        await node.ended()
        told = dict(line.split("=", 1) for line in node.text().splitlines())
        assert "AWS_SECRET_ACCESS_KEY" not in told
        assert (told["SSM_word"], told["TOCSIN_COMMAND_ID"]) == ("given", "1")
        assert (told["HOME"], told["TOCSIN_NODE_DIR"]) == (str(tmp_path / "home"), str(tmp_path))

    on_a_node(tmp_path, story)


def test_what_does_not_heed_sigterm_is_killed_when_it_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "TERM_GRACE_S", 0.2)

    async def story(node: Node) -> None:
        node.commands.take(order("trap '' TERM; echo $$; while :; do sleep 0.1; done"))
        await node.until(node.text)
        node.commands.cancel("command/1")
        ended = await node.ended()
        assert (ended.outcome, ended.steps[0].exit_code) == ("cancelled", 128 + signal.SIGKILL)
        wait_gone(int(node.text()))

    on_a_node(tmp_path, story)


def test_cancelled_before_its_turn_it_never_begins(tmp_path: Path) -> None:
    async def story(node: Node) -> None:
        gate = tmp_path / "gate"
        for number in range(COMMANDS_AT_ONCE_MAX):
            node.commands.take(order(f"while [ ! -e {gate} ]; do sleep 0.02; done", work=f"command/b{number}"))
        node.commands.take(order("echo never", work="command/w"))
        await node.until(lambda: sum(isinstance(one, CommandStarted) for one in node.reports) == COMMANDS_AT_ONCE_MAX)
        node.commands.cancel("command/w")
        assert (await node.ended("command/w")).outcome == "cancelled"  # at once, whatever runs
        gate.touch()
        assert CommandStarted not in [type(one) for one in node.reports if one.work == "command/w"]

    on_a_node(tmp_path, story)


def test_no_more_than_so_many_run_at_once(tmp_path: Path) -> None:
    async def story(node: Node) -> None:
        gate, works = tmp_path / "gate", [f"command/{number}" for number in range(2 * COMMANDS_AT_ONCE_MAX)]
        for work in works:
            node.commands.take(order(f"echo in; while [ ! -e {gate} ]; do sleep 0.02; done", work=work))
        await node.until(lambda: node.text().count("in") == COMMANDS_AT_ONCE_MAX)
        assert sum(isinstance(one, CommandStarted) for one in node.reports) == COMMANDS_AT_ONCE_MAX
        gate.touch()
        for work in works:
            assert (await node.ended(work)).outcome == "succeeded"

    on_a_node(tmp_path, story)


def test_what_comes_too_late_is_not_begun(tmp_path: Path) -> None:
    async def story(node: Node) -> None:
        node.commands.take(order("echo never", start_within_s=-1.0))
        assert (await node.ended()).outcome == "late"
        assert len(node.reports) == 1

    on_a_node(tmp_path, story)


def test_a_start_that_the_disk_does_not_keep_is_no_start(tmp_path: Path) -> None:
    async def story(node: Node) -> None:
        node.full = True
        node.commands.take(order(f"touch {tmp_path}/ran"))
        ended = await node.ended()
        assert ended.outcome == "not-started"
        assert "disk cannot keep" in ended.detail
        assert not (tmp_path / "ran").exists()

    on_a_node(tmp_path, story)


def test_a_node_that_forgot_a_command_it_began_does_not_run_it(tmp_path: Path) -> None:
    async def story(node: Node) -> None:
        node.commands.take(order(f"touch {tmp_path}/ran", begun=True))
        ended = await node.ended()
        assert ended.outcome == "interrupted"
        assert "disk was lost" in ended.detail
        assert not (tmp_path / "ran").exists()

    on_a_node(tmp_path, story)


def test_an_agent_that_stops_ends_its_commands_and_says_so(tmp_path: Path) -> None:
    async def story(node: Node) -> None:
        node.commands.take(order("echo $$; sleep 600"))
        await node.until(node.text)
        await node.stop()
        assert (await node.ended()).outcome == "interrupted"
        wait_gone(int(node.text()))

    on_a_node(tmp_path, story)


def test_the_next_agent_tells_what_was_broken_off_and_ends_what_is_left_of_it(tmp_path: Path) -> None:
    folder = tmp_path / COMMANDS_FOLDER / "1"
    folder.mkdir(parents=True)
    left = os.posix_spawn("/bin/sleep", ["sleep", "600"], {}, setsid=True)
    ticks = Path(f"/proc/{left}/stat").read_text().rpartition(")")[2].split()[19]
    (folder / STEP_FILE).write_text(f"{left} {ticks}")

    async def story(node: Node) -> None:
        ended = await node.ended()
        assert (ended.outcome, ended.work) == ("interrupted", "command/1")
        assert not folder.exists()

    on_a_node(tmp_path, story, begun=["command/1"])
    wait_gone(left)
    os.waitpid(left, 0)
    end_leftover(folder / STEP_FILE)  # gone already: nothing happens


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (step("true", directory="/nowhere"), "the working directory /nowhere is not there"),
        (step("true", interpreter="no-such-program"), "no-such-program is not on this node"),
        (step("#!/no/such/interpreter\n"), "could not be started"),
        (step("a\0b"), ""),
    ],
)
def test_a_step_that_cannot_run_says_why(tmp_path: Path, given: CommandStep, words: str) -> None:
    async def story(node: Node) -> None:
        node.commands.take(order(steps=(given,)))
        ended = await node.ended()
        assert ended.outcome in ("not-started", "failed")
        assert words in ended.steps[0].detail

    on_a_node(tmp_path, story)


def test_output_beyond_the_limit_is_counted(tmp_path: Path) -> None:
    async def story(node: Node) -> None:
        node.commands.take(order("seq 1 100000", output_bytes_max=1000))
        assert (await node.ended()).outcome == "succeeded"
        assert node.text().startswith("1\n2\n3\n")
        assert "587895 bytes of output were left out: the limit is 1000" in node.text()

    on_a_node(tmp_path, story)


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=6))
def test_pieces_put_together_are_the_output_and_offsets_have_no_gap(data: bytes, cuts: list[int]) -> None:
    async def main() -> None:
        reports: list[Report] = []
        empty = CommandOutput(n=0, work="w", step="s", stream="stdout", at=0, pieces=())
        stream = Stream(empty, 1 << 20, reports.append, lambda: 7)
        at = sorted({0, len(data), *(cut for cut in cuts if cut <= len(data))})
        for start, end in itertools.pairwise(at):
            stream.feed(data[start:end])
        stream.finish()
        wanted, told = data.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}"), ""
        for report in reports:
            assert isinstance(report, CommandOutput)
            assert report.at == len(told.encode())
            assert all("\n" not in text[:-1] for _, text in report.pieces)
            told += "".join(text for _, text in report.pieces)
        assert told == wanted

    asyncio.run(main())


@given(st.lists(st.sampled_from(["order", "begin", "end", "acknowledge", "restart"]), max_size=40))
def test_a_command_that_began_is_never_taken_again(moves: list[str]) -> None:
    session, wanted, taken, begun = Session(), order(), False, False
    for move in moves:
        if move == "order":
            heard = hear(session, OPEN, wanted)
            assert bool(heard.orders) == (not taken and not begun)
            session, taken = heard.session, True
        elif move == "begin" and taken and not begun:
            session, begun = file(session, CommandStarted(n=0, work=wanted.work, at_ms=0)), True
        elif move == "end" and begun and wanted.work in session.begun:
            session = file(session, CommandEnded(n=0, work=wanted.work, at_ms=0, outcome="succeeded"))
        elif move == "acknowledge":
            session = acknowledge(session, session.filed)
        elif move == "restart":
            session, taken = at_rest(session), begun


def test_what_began_is_known_after_any_end_of_the_process(tmp_path: Path) -> None:
    path = tmp_path / "spool"

    def reopened(*reports: Report, acked: int = 0) -> tuple[str, ...]:
        spool = Spool(path)
        for report in reports:
            assert spool.file(report)
        spool.settle(acknowledge(spool.session, acked))
        spool.close()
        again = Spool(path)
        again.close()
        return again.session.begun

    started = CommandStarted(n=0, work="command/1", at_ms=1)
    assert reopened(started) == ("command/1",)
    assert reopened(ScriptOutput(n=0, work="w", lines=((1, "x"),)), acked=1) == ("command/1",)
    assert reopened(acked=2) == ("command/1",)
    assert reopened(CommandEnded(n=0, work="command/1", at_ms=2, outcome="succeeded")) == ()
