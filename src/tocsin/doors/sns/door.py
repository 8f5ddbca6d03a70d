"""SNS's operations, and what all of them share: a lost race and a full store in this service's words."""

from tocsin.doors.door import Door, Handler, settled
from tocsin.doors.sns.publishing import Publishing
from tocsin.doors.sns.subscriptions import SubscriptionDesk
from tocsin.doors.sns.tags import Tagging
from tocsin.doors.sns.topics import TopicDesk
from tocsin.model.topic_errors import Throttled
from tocsin.ports import Store
from tocsin.services.topics import Topics


def sns_door(topics: Topics, store: Store) -> Door:
    desk, subscriptions, publishing = TopicDesk(topics), SubscriptionDesk(topics), Publishing(topics)
    tagging = Tagging(store)
    operations: dict[str, Handler] = {
        "CreateTopic": desk.create,
        "DeleteTopic": desk.delete,
        "ListTopics": desk.list,
        "GetTopicAttributes": desk.get_attributes,
        "SetTopicAttributes": desk.set_attributes,
        "AddPermission": desk.add_permission,
        "RemovePermission": desk.remove_permission,
        "GetDataProtectionPolicy": desk.get_protection,
        "PutDataProtectionPolicy": desk.put_protection,
        "TagResource": tagging.tag,
        "UntagResource": tagging.untag,
        "ListTagsForResource": tagging.list,
        "Subscribe": subscriptions.subscribe,
        "ConfirmSubscription": subscriptions.confirm,
        "Unsubscribe": subscriptions.unsubscribe,
        "ListSubscriptions": subscriptions.list,
        "ListSubscriptionsByTopic": subscriptions.list_by_topic,
        "GetSubscriptionAttributes": subscriptions.get_attributes,
        "SetSubscriptionAttributes": subscriptions.set_attributes,
        "Publish": publishing.publish,
        "PublishBatch": publishing.publish_batch,
    }
    return Door(service="sns", operations=settled(operations, Throttled, "topic"))
