"""The agent's session with the server, without I/O.

Theory. A report gets the next number, lies in the outbox until the server acknowledges its number, and is sent again
on every new connection until then; the server counts an old number as seen. So whatever is lost, cut or doubled, each
report takes effect once and in order. An order names a work; a work in hand or ended is not taken a second time. What
a process had in hand dies with it: a script that never ended may be taken by the next agent, when it is ordered again.
So may a deep health check and a reset. A command may not: its CommandStarted is on the disk before its process is; what
began and did not end was broken off.
"""

from enum import StrEnum

from msgspec import Struct, field
from msgspec.structs import replace

from tocsin.model.errors import TocsinError
from tocsin.model.link import (
    Ack,
    AnswerPeers,
    CancelCommand,
    CheckEnded,
    CommandEnded,
    CommandStarted,
    Found,
    GpuResetEnded,
    Halt,
    Inject,
    Order,
    Report,
    RunCommand,
    RunDeepCheck,
    RunGpuReset,
    RunScript,
    ScriptEnded,
    ScriptOutput,
    TakeOut,
    ToAgent,
    UnwatchExtension,
    WatchExtension,
    Welcome,
)

# Names of ended works remembered. The server orders an ended work again only when it has not yet read that it ended,
# and it keeps no more works in flight to one node than half of this (services/commands).
WORKS_KEPT_MAX = 1024


class LinkBroken(TocsinError):
    """The connection is of no use any more: drop it and say hello again."""


class Phase(StrEnum):
    GREETING = "greeting"  # Hello is said, Welcome not heard
    OPEN = "open"
    HALTED = "halted"  # the server does not know this node: the agent ends


# Which frame may come when, and where it leads. All else breaks the link.
LINK_MOVES: dict[Phase, dict[type[ToAgent], Phase]] = {
    Phase.GREETING: {Welcome: Phase.OPEN, Halt: Phase.HALTED},
    Phase.OPEN: {
        Ack: Phase.OPEN,
        RunScript: Phase.OPEN,
        RunCommand: Phase.OPEN,
        CancelCommand: Phase.OPEN,
        RunDeepCheck: Phase.OPEN,
        RunGpuReset: Phase.OPEN,
        AnswerPeers: Phase.OPEN,
        Inject: Phase.OPEN,
        TakeOut: Phase.OPEN,
        WatchExtension: Phase.OPEN,
        UnwatchExtension: Phase.OPEN,
        Halt: Phase.HALTED,
    },
    Phase.HALTED: {},
}


class Session(Struct, frozen=True, kw_only=True, tag_field="t", tag="session"):
    """What outlives a connection, and, but for `taken`, the process.

    `filed` is the last number given out, `acked` the last acknowledged; `outbox` holds the reports between them,
    without a gap. `ended` are the names of works done, oldest first; `taken` those this process has in hand; `begun`
    the commands that began and did not end. `places` says of each source of findings how far it is reported: it moves
    with the report, so nothing is told twice.
    """

    filed: int = 0
    acked: int = 0
    outbox: tuple[Report, ...] = ()
    ended: tuple[str, ...] = ()
    taken: frozenset[str] = frozenset()
    places: dict[str, str] = field(default_factory=dict)
    begun: tuple[str, ...] = ()


class Line(Struct, frozen=True, kw_only=True):
    """One connection. `sent` is the last number that went out on it."""

    phase: Phase = Phase.GREETING
    sent: int = 0
    beat_interval_s: float = 0.0


class Heard(Struct, frozen=True, kw_only=True):
    """What a frame leads to. `orders` are those to obey now."""

    session: Session
    line: Line
    orders: tuple[Order, ...] = ()


def file(session: Session, report: Report) -> Session:
    """Number a report (its own `n` counts for nothing) and put it last in the outbox."""
    return _append(session, replace(report, n=session.filed + 1))


def refile(session: Session, report: Report) -> Session:
    """Put back a report that was kept on disk, in the order of its number.

    A number seen before changes nothing. Where numbers are missing (an unreadable line), empty reports take their
    place: numbers have no gaps.
    """
    while session.filed + 1 < report.n:
        session = _append(session, ScriptOutput(n=session.filed + 1, work=report.work, lines=()))
    return _append(session, report) if report.n == session.filed + 1 else session


def _append(session: Session, report: Report) -> Session:
    assert report.n == session.filed + 1
    assert len(session.outbox) == session.filed - session.acked
    session = replace(session, filed=report.n, outbox=(*session.outbox, report))
    if isinstance(report, Found) and report.place:
        session = replace(session, places=session.places | {report.finding.source: report.place})
    if isinstance(report, CommandStarted):
        return replace(session, begun=(*(work for work in session.begun if work != report.work), report.work))
    if not isinstance(report, ScriptEnded | CommandEnded | CheckEnded | GpuResetEnded):
        return session
    ended = tuple(work for work in session.ended if work != report.work)
    return replace(
        session,
        ended=(*ended, report.work)[-WORKS_KEPT_MAX:],
        taken=session.taken - {report.work},
        begun=tuple(work for work in session.begun if work != report.work),
    )


def acknowledge(session: Session, n: int) -> Session:
    """Let go of every report up to `n`. An old number changes nothing.

    A number never given out means that this node's disk was lost and the server remembers more: count on from there.
    """
    if n <= session.acked:
        return session
    return replace(session, acked=n, filed=max(session.filed, n), outbox=beyond(session, n))


def beyond(session: Session, n: int) -> tuple[Report, ...]:
    """Reports numbered higher than `n`, in order."""
    return session.outbox[max(0, n - session.acked) :]


def at_rest(session: Session) -> Session:
    """The session as the next process shall find it: with nothing in hand."""
    return replace(session, taken=frozenset())


def may_take(session: Session, order: RunScript | RunCommand | RunDeepCheck | RunGpuReset) -> bool:
    return order.work not in session.taken and order.work not in session.ended and order.work not in session.begun


def hear(session: Session, line: Line, frame: ToAgent) -> Heard:
    """Take in a frame from the server. Raises LinkBroken when it may not come now."""
    phase = LINK_MOVES[line.phase].get(type(frame))
    if phase is None:
        raise LinkBroken(f"the server sent {type(frame).__name__} while the link was {line.phase}")
    line = replace(line, phase=phase)
    match frame:
        case Welcome():
            session = acknowledge(session, frame.acked)
            return Heard(session=session, line=replace(line, sent=session.acked, beat_interval_s=frame.beat_interval_s))
        case Ack():
            if frame.n > line.sent:
                raise LinkBroken(f"the server acknowledged report {frame.n}, but {line.sent} was the last sent")
            return Heard(session=acknowledge(session, frame.n), line=line)
        case RunScript() | RunCommand() | RunDeepCheck() | RunGpuReset():
            if not may_take(session, frame):
                return Heard(session=session, line=line)
            return Heard(session=replace(session, taken=session.taken | {frame.work}), line=line, orders=(frame,))
        case CancelCommand() | AnswerPeers() | Inject() | TakeOut() | WatchExtension() | UnwatchExtension() | Halt():
            return Heard(session=session, line=line, orders=(frame,))
