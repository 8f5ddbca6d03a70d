"""SNS topics as targets: the payload as a message, fanned out in the commit of the bus's place in the journal.

A message's id follows from event, rule and target. It has no subject (facts/peers.md §3.2).
"""

from collections.abc import Sequence

from tocsin.core.topics.messages import Draft, check_draft
from tocsin.model.delivery import Delivery, Landed, Refused
from tocsin.model.errors import AwsError
from tocsin.model.names import derived_uuid, topic_of
from tocsin.model.topic import Topic
from tocsin.services.topics import Prepared, Topics


class TopicTargets:
    def __init__(self, topics: Topics) -> None:
        self._topics = topics

    async def land(self, deliveries: Sequence[Delivery], now_ms: int) -> Landed:
        refused: list[Refused] = []
        drafts: dict[str, list[tuple[str, Draft]]] = {}
        topics: dict[str, Topic | None] = {}
        for one in deliveries:
            arn = one.target.arn
            if arn not in topics:
                place = topic_of(arn)
                assert place is not None, "PutTargets takes only ARNs of kinds that can be delivered"
                topics[arn] = await self._topics.find(*place)
            topic = topics[arn]
            if topic is None:
                message = f"The topic {arn} does not exist."
                refused.append(Refused(delivery=one, code="NO_RESOURCE", message=message))
                continue
            draft = Draft(message=one.payload.decode())
            try:
                check_draft(topic, draft)
            except AwsError as error:
                refused.append(Refused(delivery=one, code="INVALID_PARAMETER", message=error.message))
                continue
            message_id = derived_uuid(one.event.id, one.event.bus, one.rule.arn, one.target.id)
            drafts.setdefault(arn, []).append((message_id, draft))
        prepared = [await self._topics.prepare(_there(topics[arn]), some, now_ms) for arn, some in drafts.items()]
        return _landed(prepared, refused)


def _there(topic: Topic | None) -> Topic:
    assert topic is not None, "drafts are made for topics that are there"
    return topic


def _landed(prepared: list[Prepared], refused: list[Refused]) -> Landed:
    def committed() -> None:
        for one in prepared:
            one.committed()

    changes = tuple(change for one in prepared for change in one.changes)
    return Landed(changes=changes, refused=tuple(refused), committed=committed)
