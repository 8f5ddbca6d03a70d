"""Faults put into simulated nodes: lines of a kernel that is not there, diagnosed as an agent diagnoses them.

numbers.py asks what an agent would report. There is no disk, no interface and no process that could be broken.
"""

from collections.abc import Iterable

from tocsin.core.faults import Catalogue, diagnose
from tocsin.model.health import Line
from tocsin.model.injection import FIRST_BUS, XID_LINE
from tocsin.model.link import Found, Inject, Placed, Report

REFUSED = "a simulated machine takes --xid and --kmsg"
KERNEL, ERROR = 0, 3  # facility and level of syslog


def put_in(order: Inject, at_ms: int, catalogue: Catalogue) -> Iterable[Report]:
    text = order.argument if order.what == "kmsg" else XID_LINE.format(bus=FIRST_BUS, code=order.argument)
    if order.what not in ("kmsg", "xid"):
        yield Placed(n=0, work=order.work, at_ms=at_ms, outcome="refused", detail=REFUSED)
        return
    yield Placed(n=0, work=order.work, at_ms=at_ms, outcome="in")
    found = diagnose(Line(source="kmsg", text=text, at_ms=at_ms, facility=KERNEL, level=ERROR), catalogue)
    if found:
        yield Found(n=0, finding=found)
