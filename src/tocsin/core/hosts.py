"""Which host becomes an instance, who may join, and where a host goes. Decisions of services/hosts."""

from collections.abc import Collection, Mapping, Sequence

from msgspec.structs import replace

from tocsin.model.health import Mark
from tocsin.model.host import Host, HostState, InventoryHost, JoinToken
from tocsin.model.records import successor


def choose(
    inventory: Sequence[InventoryHost],
    hosts: Mapping[str, Host],
    there: Collection[str],
    instance_type: str,
    *,
    replacement: bool,
) -> InventoryHost | None:
    """A free host of the type that is there, in the order of the inventory; a spare for a replacement, if need be."""
    free = [one for one in inventory if one.instance_type == instance_type and one.name in there]
    free = [one for one in free if (host := hosts.get(one.name)) and host.state is HostState.POOL]
    plain, spares = [one for one in free if not one.spare], [one for one in free if one.spare]
    return next(iter([*plain, *(spares if replacement else [])]), None)


def join_refusal(
    token: JoinToken | None, digest: str, host: str, known: Host | None, names: Collection[str], now_ms: int
) -> str:
    """Why the host may not join with this token; "" when it may.

    Who joined already keeps its place: a token that was stolen is of no use against it.
    """
    if token is None or token.digest != digest:
        return "The token is not known: it was used, revoked, or never given out."
    if now_ms >= token.expires_ms:
        return "The token has expired."
    if token.host not in ("", host):
        return f"The token is for host {token.host}."
    if host not in names:
        return f"Host {host} is not in the inventory."
    if known is not None and known.credential:
        return f"Host {host} has joined already. To let it join anew: tocsin hosts forget {host}"
    return ""


def claimed(host: Host, instance_id: str) -> Host:
    assert host.state is HostState.POOL, "only free hosts are claimed"
    return successor(host, state=HostState.CLAIMED, instance_id=instance_id, why="")


def releasing(host: Host, *, faulty: bool, why: str) -> Host:
    """Its instance ends. A faulty one takes its host out of the pool."""
    next_state = HostState.QUARANTINE if faulty else HostState.POOL
    return successor(host, state=HostState.RELEASING, next_state=next_state, why=why if faulty else "")


def told_of(host: Host, history: tuple[Mark, ...]) -> Host:
    """With what befell it as the instance that ends: the next one that it is begins with that. None: what it had."""
    return replace(host, history=history) if history else host


def wiped(host: Host) -> Host:
    return successor(host, state=host.next_state, instance_id="", next_state=HostState.POOL)


def away(host: Host) -> Host:
    """It cannot be wiped, for it does not answer: nobody gets it before somebody has looked."""
    why = host.why or f"did not answer when {host.instance_id} ended"
    return successor(host, state=HostState.QUARANTINE, instance_id="", next_state=HostState.POOL, why=why)
