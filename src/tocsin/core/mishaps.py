"""Which mishap an instance meets, and what is left of it then. Called by services/mishaps."""

from collections.abc import Iterable

from tocsin.model.mishap import Met, Mishap, MishapKind
from tocsin.model.records import successor

# Instances remembered by one mishap, so that a step taken twice is not counted twice.
STRUCK_MAX = 1000


def over(mishap: Mishap, now_ms: int) -> bool:
    """Whether nobody new meets it any more."""
    return mishap.left == 0 or expired(mishap, now_ms)


def expired(mishap: Mishap, now_ms: int) -> bool:
    return bool(mishap.expires_ms) and now_ms >= mishap.expires_ms


def meets(mishap: Mishap, met: Met, now_ms: int) -> bool:
    if mishap.cluster not in ("", met.cluster_name) or mishap.group not in ("", met.group):
        return False
    return not over(mishap, now_ms) or (met.instance_id in mishap.struck and not expired(mishap, now_ms))


def first_met(mishaps: Iterable[Mishap], kind: MishapKind, met: Met, now_ms: int) -> Mishap | None:
    """The one that the instance met before, else the oldest that it may meet."""
    found = [one for one in mishaps if one.what is kind and meets(one, met, now_ms)]
    again = [one for one in found if met.instance_id in one.struck]
    return min(again or found, key=lambda one: (one.created_ms, one.id), default=None)


def struck(mishap: Mishap, instance_id: str) -> Mishap:
    """The mishap once the instance has met it for the first time."""
    left = None if mishap.left is None else mishap.left - 1
    return successor(mishap, left=left, struck=(*mishap.struck, instance_id)[-STRUCK_MAX:])


def words(mishap: Mishap) -> str:
    """What a mishap is, for the story: `fault capacity of worker in first (2 more)`."""
    where = f"{mishap.group or 'any group'} in {mishap.cluster or 'any cluster'}"
    more = "" if mishap.left is None else f" ({mishap.left} more)"
    return f"fault {mishap.what} of {where}{more}"
