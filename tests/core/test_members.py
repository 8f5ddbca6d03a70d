"""What a plan knows of its nodes at a glance is what looking at all of them would tell, whatever was done to them."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from tests.core.world import SCOPE
from tocsin.core.plan.members import Members, calm
from tocsin.model.cluster import Node, NodeStatus, Repair, ScriptState

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = ("i-1", "i-2", "i-3", "i-4")


def node(key: str, group: str, status: NodeStatus, repair: Repair | None, advice: str) -> Node:
    return Node(
        scope=SCOPE,
        cluster_id="c",
        group=group,
        index=1,
        instance_id=key,
        instance_type="ml.t3.medium",
        address="127.64.0.1",
        status=status,
        launched_at=BEGIN,
        script=ScriptState.NONE,
        repair=repair,
        advice=advice,
    )


NODES = st.builds(
    node,
    st.sampled_from(KEYS),
    st.sampled_from(["a", "b"]),
    st.sampled_from(list(NodeStatus)),
    st.sampled_from([None, Repair.REPLACE]),
    st.sampled_from(["", "look"]),
)


@given(
    first=st.lists(NODES, max_size=4),
    then=st.lists(NODES | st.sampled_from(KEYS), max_size=12),
    news=st.frozensets(st.sampled_from(KEYS)),
)
def test_members_are_counted_and_told_apart_as_they_change(
    first: list[Node], then: list[Node | str], news: frozenset[str]
) -> None:
    members = Members({one.instance_id: one for one in first})
    for step in then:
        if isinstance(step, Node):
            members[step.instance_id] = step
        elif step in members:
            del members[step]
    everybody = list(members.values())
    assert {one.instance_id for one in members.stirred()} == {one.instance_id for one in everybody if not calm(one)}
    for group in ("a", "b"):
        staying = [one for one in everybody if one.group == group and one.status is not NodeStatus.SHUTTING_DOWN]
        assert members.sizes[group] == len(staying)
    looked_at = [one.instance_id for one in members.stirred_or(news)]
    assert sorted(looked_at) == sorted(key for key, one in members.items() if not calm(one) or key in news)
