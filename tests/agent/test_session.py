"""The agent's session: whatever is lost, doubled or cut, each report takes effect once and in order."""

from collections import deque

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.agent.agent_world import ORDER, order
from tocsin.core.link import (
    LINK_MOVES,
    WORKS_KEPT_MAX,
    Line,
    LinkBroken,
    Phase,
    Session,
    acknowledge,
    at_rest,
    beyond,
    file,
    hear,
    refile,
)
from tocsin.model.link import Ack, Halt, Report, ScriptEnded, ScriptOutput, ScriptStarted, ToAgent, Welcome

OPEN = Line(phase=Phase.OPEN, sent=100)
FRAMES: list[ToAgent] = [Welcome(acked=0, beat_interval_s=1), Ack(n=0), ORDER, Halt(reason="gone")]


def output(text: str) -> ScriptOutput:
    return ScriptOutput(n=0, work="w", lines=((0, text),))


def ended(work: str) -> ScriptEnded:
    return ScriptEnded(n=0, work=work, at_ms=0, outcome="succeeded")


def filed(count: int) -> Session:
    session = Session()
    for number in range(count):
        session = file(session, output(str(number)))
    return session


def test_reports_are_numbered_from_one_without_gaps() -> None:
    assert [report.n for report in filed(3).outbox] == [1, 2, 3]


def test_after_welcome_every_unacknowledged_report_is_sent_again() -> None:
    heard = hear(filed(5), Line(sent=5), Welcome(acked=2, beat_interval_s=3.0))
    assert [report.n for report in beyond(heard.session, heard.line.sent)] == [3, 4, 5]
    assert heard.line.beat_interval_s == 3.0


def test_a_server_that_forgot_gets_all_that_is_left() -> None:
    session = acknowledge(filed(5), 3)
    heard = hear(session, Line(), Welcome(acked=1, beat_interval_s=1))
    assert [report.n for report in beyond(heard.session, heard.line.sent)] == [4, 5]


def test_a_node_that_lost_its_disk_counts_on_from_the_server() -> None:
    heard = hear(Session(), Line(), Welcome(acked=7, beat_interval_s=1))
    assert file(heard.session, output("next")).outbox[-1].n == 8


def test_an_acknowledgement_lets_go_of_all_before_it() -> None:
    heard = hear(filed(5), OPEN, Ack(n=3))
    assert [report.n for report in heard.session.outbox] == [4, 5]
    assert hear(heard.session, OPEN, Ack(n=2)).session == heard.session


def test_an_acknowledgement_of_what_was_never_sent_breaks_the_link() -> None:
    with pytest.raises(LinkBroken, match="acknowledged report 3"):
        hear(filed(5), Line(phase=Phase.OPEN, sent=2), Ack(n=3))


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: type(frame).__name__)
def test_only_frames_of_the_table_may_come(phase: Phase, frame: ToAgent) -> None:
    line = Line(phase=phase)
    if type(frame) in LINK_MOVES[phase]:
        assert hear(Session(), line, frame).line.phase is LINK_MOVES[phase][type(frame)]
    else:
        with pytest.raises(LinkBroken):
            hear(Session(), line, frame)


def test_halt_is_handed_on() -> None:
    assert hear(Session(), Line(), Halt(reason="gone")).orders == (Halt(reason="gone"),)


def test_a_work_in_hand_is_not_taken_twice() -> None:
    first = hear(Session(), OPEN, ORDER)
    assert first.orders == (ORDER,)
    assert hear(first.session, OPEN, ORDER).orders == ()
    assert hear(first.session, OPEN, order(work="lifecycle/2")).orders != ()


def test_a_work_that_ended_is_not_taken_again_even_by_the_next_process() -> None:
    session = file(hear(Session(), OPEN, ORDER).session, ended(ORDER.work))
    assert hear(session, OPEN, ORDER).orders == ()
    assert hear(at_rest(session), OPEN, ORDER).orders == ()


def test_a_work_that_never_ended_is_taken_by_the_next_process() -> None:
    session = file(hear(Session(), OPEN, ORDER).session, ScriptStarted(n=0, work=ORDER.work, at_ms=0))
    assert hear(at_rest(session), OPEN, ORDER).orders == (ORDER,)


def test_the_names_of_ended_works_are_bounded() -> None:
    session = Session()
    for number in range(WORKS_KEPT_MAX + 10):
        session = file(session, ended(str(number)))
    assert len(session.ended) == WORKS_KEPT_MAX
    assert session.ended[-1] == str(WORKS_KEPT_MAX + 9)


def test_refiling_what_was_kept_gives_the_same_session() -> None:
    session = file(filed(3), ended("w"))
    again = Session()
    for report in (*session.outbox, *session.outbox):  # a doubled line changes nothing
        again = refile(again, report)
    assert again == session


def test_a_hole_in_what_was_kept_is_filled_so_that_numbers_have_no_gaps() -> None:
    kept = filed(4).outbox
    session = refile(refile(Session(), kept[0]), kept[3])
    assert [report.n for report in session.outbox] == [1, 2, 3, 4]
    assert session.outbox[1] == ScriptOutput(n=2, work="w", lines=())


class World:
    """An agent, a strict server and the wires between them."""

    def __init__(self) -> None:
        self.session = Session()
        self.line: Line | None = None
        self.up: deque[Report] = deque()
        self.down: deque[ToAgent] = deque()
        self.filed = 0
        self.acked = 0
        self.effects: list[str] = []

    def file(self) -> None:
        self.filed += 1
        self.session = file(self.session, output(str(self.filed)))
        self.send()

    def connect(self) -> None:
        self.cut()
        self.line = Line()
        self.down.append(Welcome(acked=self.acked, beat_interval_s=1))

    def cut(self) -> None:
        self.line = None
        self.up.clear()
        self.down.clear()

    def restart(self) -> None:
        self.cut()
        self.session = at_rest(msgspec.json.decode(msgspec.json.encode(self.session), type=Session))

    def send(self) -> None:
        if self.line and self.line.phase is Phase.OPEN:
            reports = beyond(self.session, self.line.sent)
            self.up.extend(reports)
            self.line = msgspec.structs.replace(self.line, sent=self.session.filed)

    def serve(self) -> None:
        if not self.up:
            return
        report = self.up.popleft()
        if report.n > self.acked + 1:
            self.cut()  # something is missing: the server wants it again
            return
        if report.n == self.acked + 1:
            assert isinstance(report, ScriptOutput)
            self.effects += [text for _, text in report.lines]
            self.acked = report.n
        self.down.append(Ack(n=report.n))

    def listen(self) -> None:
        if self.line and self.down:
            heard = hear(self.session, self.line, self.down.popleft())
            self.session, self.line = heard.session, heard.line
            if self.line.sent == self.session.acked:
                assert beyond(self.session, self.line.sent) == self.session.outbox
            self.send()

    def lose_up(self) -> None:
        if self.up:
            self.up.popleft()

    def lose_down(self) -> None:
        if self.down and not isinstance(self.down[0], Welcome):
            self.down.popleft()

    def double_up(self) -> None:
        if self.up:
            self.up.appendleft(self.up[0])

    def heal(self) -> None:
        for _ in range(2):
            self.connect()
            while self.down or self.up:
                self.listen()
                self.serve()


@given(
    st.lists(
        st.sampled_from([name for name in vars(World) if not name.startswith("_") and name != "heal"]), max_size=80
    )
)
@settings(max_examples=400, deadline=None)
def test_each_report_takes_effect_once_and_in_order(moves: list[str]) -> None:
    world = World()
    for move in moves:
        getattr(world, move)()
        wanted = [str(number) for number in range(1, world.filed + 1)]
        assert world.effects == wanted[: len(world.effects)]
        assert [report.n for report in world.session.outbox] == list(range(world.session.acked + 1, world.filed + 1))
    world.heal()
    assert world.effects == [str(number) for number in range(1, world.filed + 1)]
    assert world.session.outbox == ()


@given(st.lists(st.sampled_from(["order", "end", "restart"]), max_size=40))
def test_a_work_runs_once_at_a_time_and_never_after_its_end(moves: list[str]) -> None:
    session, running, over = Session(), False, False
    for move in moves:
        if move == "order":
            taken = bool((heard := hear(session, OPEN, ORDER)).orders)
            assert taken == (not running and not over)
            session, running = heard.session, running or taken
        elif move == "end" and running:
            session, running, over = file(session, ended(ORDER.work)), False, True
        elif move == "restart":
            session, running = at_rest(session), False
