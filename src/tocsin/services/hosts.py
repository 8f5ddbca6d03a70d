"""The hosts: tokens, joining, the pool, and who is which instance. The hosts provider, the doors and the API ask.

Each change is one commit, and memory follows it. Secrets are stored as hashes, and told once.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence

from tocsin.core import hosts
from tocsin.model.changes import Change, Delete, Put
from tocsin.model.errors import Conflict, LimitExceeded, ResourceNotFoundException, Validation
from tocsin.model.health import Mark
from tocsin.model.host import HOSTS_SCOPE, Host, HostState, InventoryHost, JoinToken
from tocsin.model.records import successor
from tocsin.model.times import epoch_ms
from tocsin.ports import Clock, Store

# Tokens that are good at a time: one for each host of a large room, and some.
TOKENS_MAX = 10_000


class JoinRefused(Validation):
    """The text says why; it goes to whoever holds a token."""


class Hosts:
    """`new_id` makes the ids of tokens."""

    def __init__(
        self, store: Store, clock: Clock, inventory: Sequence[InventoryHost], new_id: Callable[[], str]
    ) -> None:
        self.inventory = {one.name: one for one in inventory}
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._hosts: dict[str, Host] = {}
        self._by_instance: dict[str, str] = {}
        self._tokens: dict[str, JoinToken] = {}
        self._changing = asyncio.Lock()

    async def load(self) -> None:
        for host in await self._store.find(Host, HOSTS_SCOPE):
            self._keep(host)
        self._tokens = {token.id: token for token in await self._store.find(JoinToken, HOSTS_SCOPE)}

    # What there is.

    def host(self, name: str) -> Host | None:
        return self._hosts.get(name)

    def of_instance(self, instance_id: str) -> Host | None:
        return self._hosts.get(self._by_instance.get(instance_id, ""))

    def instances(self) -> Mapping[str, str]:
        """Instance id -> host, of hosts that are claimed or releasing."""
        return self._by_instance

    def all_hosts(self) -> list[Host]:
        return sorted(self._hosts.values(), key=lambda host: host.name)

    def tokens(self) -> list[JoinToken]:
        now_ms = self._now_ms()
        return [token for token in self._tokens.values() if token.expires_ms > now_ms]

    # Tokens and joining.

    async def create_token(self, host: str, for_s: float, *, once: bool) -> tuple[JoinToken, str]:
        """A token and its text, which nobody can tell again. Raises Validation, LimitExceeded."""
        if host and host not in self.inventory:
            raise Validation(f"Host {host} is not in the inventory.")
        now_ms = self._now_ms()
        over = [token for token in self._tokens.values() if token.expires_ms <= now_ms]
        if len(self._tokens) - len(over) >= TOKENS_MAX:
            raise LimitExceeded(f"There are {TOKENS_MAX} tokens already. Revoke some.")
        secret = secrets.token_urlsafe(32)
        token = JoinToken(
            scope=HOSTS_SCOPE,
            id=self._new_id(),
            digest=digest(secret),
            host=host,
            once=once,
            expires_ms=now_ms + round(for_s * 1000),
            created_ms=now_ms,
        )
        await self._store.commit(Put(token), *map(Delete, over))
        for one in over:
            self._tokens.pop(one.id, None)
        self._tokens[token.id] = token
        return token, f"{token.id}.{secret}"

    async def revoke_token(self, token_id: str) -> None:
        """Raises ResourceNotFoundException."""
        token = self._tokens.get(token_id)
        if token is None:
            raise ResourceNotFoundException(f"There is no token {token_id}.")
        await self._store.commit(Delete(token))
        self._tokens.pop(token_id, None)

    async def join(self, text: str, name: str) -> str:
        """The credential that the host shows from now on. Raises JoinRefused."""
        token_id, _, secret = text.partition(".")
        async with self._changing:
            token, known = self._tokens.get(token_id), self._hosts.get(name)
            refusal = hosts.join_refusal(token, digest(secret), name, known, self.inventory, self._now_ms())
            if refusal or token is None:
                raise JoinRefused(refusal)
            credential = secrets.token_urlsafe(32)
            hashed, now_ms = digest(credential), self._now_ms()
            fresh = Host(scope=HOSTS_SCOPE, name=name, credential=hashed, joined_ms=now_ms)
            host = successor(known, credential=hashed, joined_ms=now_ms) if known else fresh
            used: list[Change] = [Delete(token)] if token.once else []
            await self._store.commit(Put(host), *used)
            if token.once:
                self._tokens.pop(token_id, None)
            self._keep(host)
            return credential

    def proves(self, name: str, credential: str) -> bool:
        """Whether this is what the host was given when it joined."""
        host = self._hosts.get(name)
        kept = host.credential if host else ""
        return bool(kept) and hmac.compare_digest(kept, digest(credential))

    async def forget(self, name: str) -> None:
        """Let the host join anew. Raises ResourceNotFoundException; Conflict while it is an instance."""
        async with self._changing:
            host = self._named(name)
            if host.instance_id:
                raise Conflict(f"Host {name} is {host.instance_id}. It can be forgotten once that has ended.")
            await self._put(successor(host, credential=""))

    # The pool.

    async def claim(
        self,
        instance_id: str,
        instance_type: str,
        there: Collection[str],
        *,
        replacement: bool,
        told: Callable[[str], list[Change]],
    ) -> Host | None:
        """A host for the instance; None when there is none. `told` is committed with it, given the host's name."""
        async with self._changing:
            found = self.of_instance(instance_id)
            if found is not None:
                return found
            inventory = list(self.inventory.values())
            chosen = hosts.choose(inventory, self._hosts, there, instance_type, replacement=replacement)
            if chosen is None:
                return None
            host = hosts.claimed(self._hosts[chosen.name], instance_id)
            await self._put(host, *told(host.name))
            return host

    async def release(self, host: Host, *, faulty: bool, why: str, there: bool, history: tuple[Mark, ...] = ()) -> None:
        """Its instance ends: it is to be wiped, or, not there, to be looked at. `history` is what befell it as that."""
        async with self._changing:
            current = self._hosts[host.name]
            if current.state is HostState.CLAIMED:
                left = hosts.releasing(current, faulty=faulty, why=why) if there else hosts.away(current)
                await self._put(hosts.told_of(left, history))

    async def wiped(self, name: str) -> None:
        async with self._changing:
            if self._hosts[name].state is HostState.RELEASING:
                await self._put(hosts.wiped(self._hosts[name]))

    async def lost(self, name: str) -> None:
        """It went away before it was wiped."""
        async with self._changing:
            host = self._hosts.get(name)
            if host is not None and host.state is HostState.RELEASING:
                await self._put(hosts.away(host))

    async def free(self, name: str) -> None:
        """Back into the pool, from quarantine. Raises ResourceNotFoundException, Conflict."""
        async with self._changing:
            host = self._named(name)
            if host.state is not HostState.QUARANTINE:
                raise Conflict(f"Host {name} is not in quarantine: its state is {host.state}.")
            await self._put(successor(host, state=HostState.POOL, why=""))

    def _named(self, name: str) -> Host:
        host = self._hosts.get(name)
        if host is None:
            raise ResourceNotFoundException(f"No host {name} has joined.")
        return host

    async def _put(self, host: Host, *told: Change) -> None:
        await self._store.commit(Put(host), *told)
        self._keep(host)

    def _keep(self, host: Host) -> None:
        before = self._hosts.get(host.name)
        if before is not None:
            self._by_instance.pop(before.instance_id, None)
        self._hosts[host.name] = host
        if host.instance_id:
            self._by_instance[host.instance_id] = host.name

    def _now_ms(self) -> int:
        return epoch_ms(self._clock.now())


def digest(secret: str) -> str:
    """Of a random secret of 256 bits: nothing slower is needed."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
