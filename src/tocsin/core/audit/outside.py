"""What goes outside: everything routed is delivered, given up, or still owed; and what is owed can come to an end."""

from collections.abc import Iterable

from tocsin.core.audit.deliveries import owed_events
from tocsin.core.audit.world import Note, World, twins
from tocsin.core.settle import deadline
from tocsin.model.names import API_DESTINATION, target_kind
from tocsin.model.outbound import Outbound


def outbounds(world: World) -> Iterable[Note]:
    yield from twins("a delivery is owed once", ((one.scope, one.lane, one.id) for one in world.outbounds))
    for one in world.outbounds:
        yield from _itself(one)


def _itself(one: Outbound) -> Iterable[Note]:
    lawful = {
        "nothing is tried more often than its policy says": one.attempts < one.retry.attempts_max,
        "nothing is due before it was owed": one.due_ms >= one.first_ms,
        "nothing is due when it is too old": one.due_ms <= deadline(one),
        "who failed says why": not one.attempts or bool(one.last_code and one.last_error),
        "each attempt that failed was kept": one.revision == one.attempts + 1,
    }
    return [
        Note(law, one.key, f"attempt {one.attempts}, due {one.due_ms}") for law, holds in lawful.items() if not holds
    ]


def settled(world: World) -> Iterable[Note]:
    """By the events that peers took, and that lie in dead-letter queues."""
    if world.carried is None:
        return
    targets = {(rule.arn, target.id): target for rule in world.rules for target in rule.targets}
    for name, seqs in owed_events(world).items():
        if target_kind(targets[name].arn) != API_DESTINATION:
            continue
        places = set(seqs)
        expected = {entry.event.id for entry in world.journal if entry.seq in places}
        rule, _ = name
        owed = {one.id for one in world.outbounds if (one.origin, one.about.get("arn")) == (rule, targets[name].arn)}
        ended = set(world.carried.get(name, ())) | set(world.buried.get((rule, targets[name].arn), ()))
        if lost := sorted(expected - owed - ended):
            yield Note("what is routed is delivered, given up or owed", " ".join(name), f"{lost} are nowhere")
