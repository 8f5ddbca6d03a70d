"""An invocation that is sent -> the orders its node gets now. The node does a work once, so they may be said again."""

from collections.abc import Mapping

from tocsin.model.command import Command, Invocation
from tocsin.model.link import CancelCommand, RunCommand

# A work that shall not begin: its time to start is over.
NEVER_S = -1.0


def orders_of(
    command: Command, one: Invocation, environment: Mapping[str, str], output_bytes_max: int, now_ms: int
) -> list[RunCommand | CancelCommand]:
    """A cancelled work is ordered too, not to be begun any more: a node that never heard of it has to say so."""
    assert one.sent_ms
    rest_s = (one.sent_ms - now_ms) / 1000 + command.deliver_within_s
    run = RunCommand(
        work=command.work,
        steps=command.steps,
        environment=dict(environment),
        start_within_s=NEVER_S if one.cancelled else rest_s,
        output_bytes_max=output_bytes_max,
        begun=one.started_ms > 0,
    )
    return [run, CancelCommand(work=command.work)] if one.cancelled else [run]
