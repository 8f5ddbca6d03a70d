"""Which host is chosen, who may join, and where a host goes."""

import pytest
from msgspec.structs import replace

from tocsin.core.hosts import away, choose, claimed, join_refusal, releasing, wiped
from tocsin.model.host import HOSTS_SCOPE, Host, HostState, InventoryHost, JoinToken

P5 = "ml.p5.48xlarge"
INVENTORY = [
    InventoryHost(name="one", address="10.0.0.1", instance_type=P5),
    InventoryHost(name="two", address="10.0.0.2", instance_type=P5),
    InventoryHost(name="cpu", address="10.0.0.3", instance_type="ml.m5.large"),
    InventoryHost(name="spare", address="10.0.0.4", instance_type=P5, spare=True),
]
NAMES = [host.name for host in INVENTORY]
TOKEN = JoinToken(scope=HOSTS_SCOPE, id="t", digest="right", expires_ms=100, created_ms=0)
JOINED = Host(scope=HOSTS_SCOPE, name="one", credential="hash", joined_ms=1)


def chosen(*, away: tuple[str, ...] = (), replacement: bool = False, kind: str = P5, **states: HostState) -> str:
    hosts = {name: replace(JOINED, name=name, state=states.get(name, HostState.POOL)) for name in NAMES}
    there = [name for name in NAMES if name not in away]
    found = choose(INVENTORY, hosts, there, kind, replacement=replacement)
    return found.name if found else ""


def test_the_first_free_host_of_the_type_is_chosen() -> None:
    assert chosen() == "one"
    assert chosen(one=HostState.CLAIMED) == "two"
    assert chosen(kind="ml.m5.large") == "cpu"
    assert chosen(kind="ml.trn1.32xlarge") == ""


def test_who_is_away_quarantined_or_being_wiped_is_not_chosen() -> None:
    assert chosen(away=("one",)) == "two"
    assert chosen(one=HostState.QUARANTINE, two=HostState.RELEASING) == ""


def test_a_host_that_never_joined_is_not_chosen() -> None:
    assert choose(INVENTORY, {}, NAMES, P5, replacement=False) is None


def test_a_spare_is_for_replacements_and_for_want_of_others() -> None:
    assert chosen(one=HostState.CLAIMED, two=HostState.CLAIMED) == ""
    assert chosen(replacement=True, one=HostState.CLAIMED, two=HostState.CLAIMED) == "spare"
    assert chosen(replacement=True, one=HostState.CLAIMED) == "two"


@pytest.mark.parametrize(
    ("token", "digest", "host", "known", "now_ms", "said"),
    [
        (TOKEN, "right", "one", None, 99, ""),
        (TOKEN, "right", "one", replace(JOINED, credential=""), 99, ""),
        (replace(TOKEN, host="one"), "right", "one", None, 99, ""),
        (None, "right", "one", None, 99, "not known"),
        (TOKEN, "guessed", "one", None, 99, "not known"),
        (TOKEN, "right", "one", None, 100, "expired"),
        (replace(TOKEN, host="two"), "right", "one", None, 99, "is for host two"),
        (TOKEN, "right", "stranger", None, 99, "not in the inventory"),
        (TOKEN, "right", "one", JOINED, 99, "has joined already"),
    ],
)
def test_who_may_join(
    token: JoinToken | None, digest: str, host: str, known: Host | None, now_ms: int, said: str
) -> None:
    refusal = join_refusal(token, digest, host, known, NAMES, now_ms)
    assert said in refusal
    assert bool(refusal) is bool(said)


def test_a_guess_is_not_told_that_the_token_has_expired() -> None:
    assert "not known" in join_refusal(TOKEN, "guessed", "one", None, NAMES, 1000)


def test_a_host_goes_back_to_the_pool_and_a_faulty_one_into_quarantine() -> None:
    host = claimed(JOINED, "i-1")
    assert (host.state, host.instance_id) == (HostState.CLAIMED, "i-1")
    back = wiped(releasing(host, faulty=False, why="i-1: fine"))
    assert (back.state, back.instance_id, back.why, back.revision) == (HostState.POOL, "", "", 4)
    kept = wiped(releasing(host, faulty=True, why="i-1: Xid 79"))
    assert (kept.state, kept.instance_id, kept.why) == (HostState.QUARANTINE, "", "i-1: Xid 79")


def test_a_host_that_cannot_be_wiped_is_looked_at_first() -> None:
    gone = away(claimed(JOINED, "i-1"))
    assert (gone.state, gone.instance_id, gone.why) == (HostState.QUARANTINE, "", "did not answer when i-1 ended")
