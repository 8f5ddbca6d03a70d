"""A delivery: one event owed to one target. The bus makes them, targets land them or say why they cannot."""

from collections.abc import Callable, Iterable

from msgspec import Struct

from tocsin.model.changes import Change
from tocsin.model.event import Event
from tocsin.model.rule import Rule, Target


class Delivery(Struct, frozen=True, kw_only=True, gc=False):
    """`payload` is what the target is sent: the event, a part of it, a constant, or a template that was filled."""

    event: Event
    rule: Rule
    target: Target
    payload: bytes
    from_template: bool = False


class Refused(Struct, frozen=True, kw_only=True):
    """A delivery that trying again would not help. `code` is one of AWS's dead-letter error codes."""

    delivery: Delivery
    code: str
    message: str


def by_target(some: Iterable[Delivery]) -> list[list[Delivery]]:
    """The deliveries to each target together, in their order. Cheap: targets are told apart as objects, so that one
    that was read twice makes two groups."""
    found: dict[int, list[Delivery]] = {}
    for one in some:
        found.setdefault(id(one.target), []).append(one)
    return list(found.values())


def _nothing() -> None:
    pass


class Landed(Struct, frozen=True, kw_only=True):
    """What a target inside our own store makes of deliveries: changes to commit, and those it refuses.

    `committed` is called once the changes are durable, by targets that keep more than the store.
    """

    changes: tuple[Change, ...] = ()
    refused: tuple[Refused, ...] = ()
    committed: Callable[[], None] = _nothing
