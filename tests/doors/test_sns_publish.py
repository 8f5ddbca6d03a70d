"""Publishing over the wire: queues, filters, MessageStructure, FIFO topics, batches, dead letters, rules."""

import json
from typing import Any

import pytest

from tests.doors.asking import refusal
from tests.doors.sns import Office, attribute, policy, verify
from tests.harness import REGION, eventually

NO_VALUE = "The message attribute 'a' must contain non-empty message attribute value"
NOT_OF_THIS_TYPE = "MessageDeduplicationId parameter that is not valid for this topic type"


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_queue_gets_an_envelope_whose_signature_verifies(office: Office, version: str) -> None:
    topic = office.topic(SignatureVersion=version)
    url, arn = office.subscribed_queue(topic)
    sent = office.sns.publish(
        TopicArn=topic, Message="line\nünïcode", Subject="Hé", MessageAttributes={"n": attribute("1", "Number")}
    )
    [body] = office.bodies(url)
    envelope = json.loads(body)
    assert list(envelope) == [
        *("Type", "MessageId", "TopicArn", "Subject", "Message", "Timestamp", "SignatureVersion", "Signature"),
        *("SigningCertURL", "UnsubscribeURL", "MessageAttributes"),
    ]
    assert (envelope["Type"], envelope["MessageId"]) == ("Notification", sent["MessageId"])
    assert (envelope["Message"], envelope["Subject"]) == ("line\nünïcode", "Hé")
    assert envelope["SignatureVersion"] == version
    assert envelope["MessageAttributes"] == {"n": {"Type": "Number", "Value": "1"}}
    assert arn in envelope["UnsubscribeURL"].replace("%3A", ":")
    verify(envelope)


def test_raw_delivery_hands_the_message_and_its_attributes_on(office: Office) -> None:
    topic = office.topic()
    url, _ = office.subscribed_queue(topic, RawMessageDelivery="true")
    office.sns.publish(
        TopicArn=topic,
        Message="as it is",
        MessageAttributes={"s": attribute("x"), "b": {"DataType": "Binary", "BinaryValue": b"\x00\x01"}},
    )
    [message] = office.received(url)
    assert message["Body"] == "as it is"
    assert message["MessageAttributes"]["s"] == {"StringValue": "x", "DataType": "String"}
    assert message["MessageAttributes"]["b"]["BinaryValue"] == b"\x00\x01"


def test_each_protocol_gets_its_own_text(office: Office) -> None:
    topic = office.topic()
    url, _ = office.subscribed_queue(topic, RawMessageDelivery="true")

    def publish(**texts: Any) -> None:
        office.sns.publish(TopicArn=topic, Message=json.dumps(texts), MessageStructure="json")

    publish(default="all", sqs="queues", email="people", odd=1)
    publish(default="all")
    assert office.bodies(url) == ["queues", "all"]
    broken = refusal(office.sns.publish, TopicArn=topic, Message="{", MessageStructure="json")
    assert broken.message == "Invalid parameter: Message Structure - JSON message body failed to parse"
    bare = refusal(office.sns.publish, TopicArn=topic, Message='{"sqs":"x"}', MessageStructure="json")
    assert bare.message == "Invalid parameter: Message Structure - No default entry in JSON message body"


@pytest.mark.parametrize(
    ("asked", "through"),
    [
        ({"store": ["a", {"anything-but": ["x", "y"]}]}, {"store": attribute("z")}),
        ({"price": [{"numeric": [">=", 100]}]}, {"price": attribute("+100.0", "Number")}),
        ({"tags": ["red"]}, {"tags": attribute('["blue","red",null,1]', "String.Array")}),
        ({"a.b": [{"prefix": "x"}]}, {"a.b": attribute("xyz")}),
        ({"gone": [{"exists": False}]}, {"there": attribute("x")}),
        (
            {"there": [{"exists": True}], "name": [{"suffix": ".py"}]},
            {"there": attribute("x"), "name": attribute("a.py")},
        ),
        ({"ip": [{"cidr": "10.0.0.0/8"}]}, {"ip": attribute("10.1.2.3")}),
        ({"w": [{"equals-ignore-case": "ALARM"}]}, {"w": attribute("alarm")}),
        ({"$or": [{"a": ["1"]}, {"b": ["2"]}]}, {"b": attribute("2")}),
    ],
)
def test_a_filter_on_attributes_lets_through_what_it_asks_for(
    office: Office, asked: dict[str, Any], through: dict[str, Any]
) -> None:
    topic = office.topic()
    url, _ = office.subscribed_queue(topic, RawMessageDelivery="true", FilterPolicy=policy(**asked))
    office.sns.publish(TopicArn=topic, Message="through", MessageAttributes=through)
    office.sns.publish(
        TopicArn=topic, Message="other", MessageAttributes={"gone": attribute("x"), "store": attribute("x")}
    )
    assert office.bodies(url) == ["through"]


def test_a_filter_on_the_body_reads_json(office: Office) -> None:
    topic = office.topic()
    asked = policy(detail={"HealthSummary": {"HealthStatus": ["Unhealthy"]}})
    url, arn = office.subscribed_queue(
        topic, RawMessageDelivery="true", FilterPolicyScope="MessageBody", FilterPolicy=asked
    )
    ill = json.dumps({"detail": {"HealthSummary": {"HealthStatus": "Unhealthy"}}})
    for message in (ill, ill.replace("Un", ""), "no JSON", "[1]"):
        office.sns.publish(TopicArn=topic, Message=message)
    assert office.bodies(url) == [ill]
    office.sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName="FilterPolicy", AttributeValue="{}")
    office.sns.publish(TopicArn=topic, Message="no JSON")
    assert office.bodies(url) == ["no JSON"]


@pytest.mark.parametrize(
    ("asked", "code", "text"),
    [
        ({"Message": ""}, "InvalidParameter", "Invalid parameter: Empty message"),
        ({"Message": "x" * 262_145}, "InvalidParameter", "Invalid parameter: Message too long"),
        ({"Message": "x", "Subject": "a\nBcc: b@example.com"}, "InvalidParameter", "Invalid parameter: Subject"),
        ({"Message": "x", "Subject": "x" * 101}, "InvalidParameter", "Invalid parameter: Subject"),
        (
            {"Message": "x", "MessageAttributes": {"a": {"DataType": "String"}}},
            "ParameterValueInvalid",
            f"{NO_VALUE} for message attribute type 'String'.",
        ),
        (
            {"Message": "x", "MessageAttributes": {"a": attribute("x", "Number")}},
            "ParameterValueInvalid",
            "Could not cast message attribute 'a' value to number.",
        ),
        (
            {"Message": "x", "MessageDeduplicationId": "1"},
            "InvalidParameter",
            f"Invalid parameter: MessageDeduplicationId Reason: The request includes {NOT_OF_THIS_TYPE}",
        ),
    ],
)
def test_messages_are_refused_in_awss_words(office: Office, asked: dict[str, Any], code: str, text: str) -> None:
    assert refusal(office.sns.publish, TopicArn=office.topic(), **asked) == (code, text, 400)


def test_a_topic_may_allow_larger_messages(office: Office) -> None:
    topic = office.topic(MaximumMessageSize="1048576")
    url, _ = office.subscribed_queue(topic, RawMessageDelivery="true")
    office.sns.publish(TopicArn=topic, Message="x" * 1_000_000)
    assert [len(body) for body in office.bodies(url)] == [1_000_000]


# batches


def test_a_batch_is_answered_entry_by_entry(office: Office) -> None:
    topic = office.topic()
    url, _ = office.subscribed_queue(topic, RawMessageDelivery="true")
    entries = [{"Id": "a", "Message": "1"}, {"Id": "b", "Message": ""}, {"Id": "c", "Message": "3"}]
    answer = office.sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
    assert [one["Id"] for one in answer["Successful"]] == ["a", "c"]
    assert answer["Failed"] == [
        {"Id": "b", "Code": "InvalidParameter", "Message": "Invalid parameter: Empty message", "SenderFault": True}
    ]
    assert office.bodies(url) == ["1", "3"]


@pytest.mark.parametrize(
    ("entries", "code"),
    [
        ([], "EmptyBatchRequest"),
        ([{"Id": str(number), "Message": "x"} for number in range(11)], "TooManyEntriesInBatchRequest"),
        ([{"Id": "a", "Message": "x"}] * 2, "BatchEntryIdsNotDistinct"),
        ([{"Id": "a!", "Message": "x"}], "InvalidBatchEntryId"),
        ([{"Id": str(number), "Message": "x" * 200_000} for number in range(2)], "BatchRequestTooLong"),
    ],
)
def test_a_whole_batch_may_be_refused(office: Office, entries: list[dict[str, str]], code: str) -> None:
    refused = refusal(office.sns.publish_batch, TopicArn=office.topic(), PublishBatchRequestEntries=entries)
    assert refused.code == code


# FIFO


def test_a_fifo_topic_keeps_order_and_takes_each_message_once(office: Office) -> None:
    topic = office.topic("line.fifo", FifoTopic="true", ContentBasedDeduplication="true")
    url, _ = office.subscribed_queue(topic, "q.fifo", fifo=True, RawMessageDelivery="true")
    plain_url, _ = office.subscribed_queue(topic, "plain", RawMessageDelivery="true")
    sent = [office.sns.publish(TopicArn=topic, Message=text, MessageGroupId="g") for text in ("1", "2", "1", "3")]
    assert sent[0]["MessageId"] == sent[2]["MessageId"]
    numbers = [one["SequenceNumber"] for one in sent]
    assert numbers[0] == numbers[2] < numbers[1] < numbers[3]
    again = office.sns.publish(TopicArn=topic, Message="4", MessageGroupId="h", MessageDeduplicationId="own")
    assert (
        office.sns.publish(TopicArn=topic, Message="5", MessageGroupId="h", MessageDeduplicationId="own")["MessageId"]
        == again["MessageId"]
    )
    found = office.received(url)
    assert [one["Body"] for one in found if one["Attributes"]["MessageGroupId"] == "g"] == ["1", "2", "3"]
    assert [one["Body"] for one in found if one["Attributes"]["MessageGroupId"] == "h"] == ["4"]
    assert sorted(office.bodies(plain_url)) == ["1", "2", "3", "4"]


def test_a_batch_to_a_fifo_topic_is_deduplicated_within(office: Office) -> None:
    topic = office.topic(
        "line.fifo", FifoTopic="true", ContentBasedDeduplication="true", FifoThroughputScope="MessageGroup"
    )
    url, _ = office.subscribed_queue(topic, "q.fifo", fifo=True)
    entries = [
        {"Id": str(number), "Message": text, "MessageGroupId": group}
        for number, (text, group) in enumerate([("a", "g"), ("a", "g"), ("b", "g")])
    ]
    answer = office.sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)["Successful"]
    assert answer[0]["MessageId"] == answer[1]["MessageId"] != answer[2]["MessageId"]
    envelopes = [json.loads(body) for body in office.bodies(url)]
    assert [one["Message"] for one in envelopes] == ["a", "b"]
    assert envelopes[0]["SequenceNumber"] == answer[0]["SequenceNumber"]
    verify(envelopes[1])


def test_a_fifo_topic_asks_for_group_and_deduplication(office: Office) -> None:
    topic = office.topic("line.fifo", FifoTopic="true")
    assert refusal(office.sns.publish, TopicArn=topic, Message="x").message == (
        "Invalid parameter: The MessageGroupId parameter is required for FIFO topics"
    )
    assert (
        "ContentBasedDeduplication"
        in refusal(office.sns.publish, TopicArn=topic, Message="x", MessageGroupId="g").message
    )
    assert refusal(office.sns.subscribe, TopicArn=topic, Protocol="email", Endpoint="a@example.com").code == (
        "InvalidParameter"
    )


# dead letters, and the bus


def test_what_a_queue_cannot_take_goes_to_the_dead_letter_queue(office: Office) -> None:
    topic = office.topic()
    dead_url, dead_arn = office.queue("dead")
    url, _ = office.subscribed_queue(
        topic, RawMessageDelivery="true", RedrivePolicy=json.dumps({"deadLetterTargetArn": dead_arn})
    )
    office.sqs.delete_queue(QueueUrl=url)
    other_url, _ = office.subscribed_queue(topic, "other", RawMessageDelivery="true")
    office.sns.publish(TopicArn=topic, Message="lost?")
    [letter] = office.received(dead_url)
    assert letter["Body"] == "lost?"
    assert letter["MessageAttributes"]["ErrorMessage"]["StringValue"] == "The queue does not exist."
    assert office.bodies(other_url) == ["lost?"]


def test_a_rule_publishes_events_to_a_topic(office: Office) -> None:
    topic = office.topic()
    url, _ = office.subscribed_queue(topic)
    office.events.put_rule(Name="r", EventPattern='{"source":["my.app"]}')
    office.events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": topic}])
    entry = {"Source": "my.app", "DetailType": "thing", "Detail": '{"n":1}'}
    event_id = office.events.put_events(Entries=[entry])["Entries"][0]["EventId"]
    [body] = eventually(lambda: office.bodies(url, wait_s=20), "the event")
    envelope = json.loads(body)
    assert "Subject" not in envelope
    assert json.loads(envelope["Message"])["id"] == event_id
    verify(envelope)
    gone = f"arn:aws:sns:{REGION}:{office.account}:gone"
    dead_url, dead_arn = office.queue("dead")
    office.events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": gone, "DeadLetterConfig": {"Arn": dead_arn}}])
    office.events.put_events(Entries=[entry])
    [letter] = eventually(lambda: office.received(dead_url, wait_s=20), "a letter")
    assert letter["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_RESOURCE"
