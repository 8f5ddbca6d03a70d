"""What every stored record has in common: a scope, a key within its kind, and a revision.

A commit takes a record only as the direct successor of the stored one (revision + 1; 1 for a new record), so two
writers can never overwrite each other unseen: the later one gets `Stale` and decides again on what is there.
"""

from typing import Any, ClassVar, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from tocsin.model.names import Scope


class Record(Struct, frozen=True, kw_only=True):
    """Base of all stored records. `kind` names the sort, `key` the record among its sort within the scope."""

    kind: ClassVar[str]
    scope: Scope
    revision: int = 1

    @property
    def key(self) -> str:
        raise AssertionError(f"{type(self).__name__} names no key")


R = TypeVar("R", bound=Record)


def successor(record: R, **changes: Any) -> R:
    """The record with the changes, as its own next revision."""
    return replace(record, revision=record.revision + 1, **changes)
