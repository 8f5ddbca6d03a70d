"""Delivery status logging: what a topic's log groups tell of deliveries into queues and to endpoints."""

import hashlib
import json
from typing import Any

import pytest

from tests.doors.asking import log_lines, refused
from tests.doors.endpoint import Endpoint, hangs_up, status
from tests.doors.sns import Office
from tests.doors.test_sns_http import QUICK, subscribed
from tests.harness import REGION, eventually

ROLE = "arn:aws:iam::111122223333:role/sns-feedback"


def both(family: str) -> dict[str, str]:
    return {f"{family}SuccessFeedbackRoleArn": ROLE, f"{family}FailureFeedbackRoleArn": ROLE}


def told(office: Office, count: int, failed: bool = False) -> list[dict[str, Any]]:
    """The lines, once there are so many."""
    group = f"sns/{REGION}/{office.account}/alarms" + ("/Failure" if failed else "")
    logs = office.server.client("logs", office.account)

    def lines() -> Any:
        groups = [one["logGroupName"] for one in logs.describe_log_groups(logGroupNamePrefix="sns/")["logGroups"]]
        found = log_lines(office.server, office.account, group) if group in groups else []
        return found if len(found) >= count else None

    return [json.loads(line) for line in eventually(lines, f"{count} lines in {group}")]


def test_a_delivery_into_a_queue_is_told_as_aws_tells_it(office: Office) -> None:
    topic = office.topic(**both("SQS"))
    url, _ = office.subscribed_queue(topic)
    message_id = office.sns.publish(TopicArn=topic, Message="hello")["MessageId"]
    [line] = told(office, 1)
    assert list(line) == ["notification", "delivery", "status"]
    assert line["status"] == "SUCCESS"
    assert line["notification"].pop("timestamp")[4] == "-"
    assert line["notification"] == {
        "messageMD5Sum": hashlib.md5(b"hello").hexdigest(),
        "messageId": message_id,
        "topicArn": topic,
    }
    delivery = line["delivery"]
    [received] = office.received(url)
    assert json.loads(delivery["providerResponse"]) == {"sqsMessageId": received["MessageId"]}
    assert (delivery["destination"], delivery["attempts"], delivery["statusCode"]) == (
        f"arn:aws:sqs:{REGION}:{office.account}:q",
        1,
        200,
    )
    assert delivery["dwellTimeMs"] >= 0
    office.sqs.delete_queue(QueueUrl=url)
    office.sns.publish(TopicArn=topic, Message="nobody hears this")
    [line] = told(office, 1, failed=True)
    assert (line["status"], line["delivery"]["statusCode"]) == ("FAILURE", 400)
    assert "does not exist" in line["delivery"]["providerResponse"]
    assert len(told(office, 1)) == 1


def test_a_delivery_to_an_endpoint_is_told_when_it_has_ended(office: Office, endpoint: Endpoint) -> None:
    topic, path = office.topic(**both("HTTP")), f"/told{office.account}"
    policy = json.dumps({"healthyRetryPolicy": QUICK})
    subscribed(office, endpoint, topic, path, DeliveryPolicy=policy)
    endpoint.plans[path] = [status(503)]
    office.sns.publish(TopicArn=topic, Message="twice")
    [line] = told(office, 1)
    assert (line["status"], line["delivery"]["attempts"], line["delivery"]["statusCode"]) == ("SUCCESS", 2, 200)
    assert line["delivery"]["destination"] == endpoint.url + path
    endpoint.plans[path] = [status(404)]
    office.sns.publish(TopicArn=topic, Message="refused")
    [line] = told(office, 1, failed=True)
    assert (line["delivery"]["attempts"], line["delivery"]["statusCode"]) == (1, 404)
    endpoint.plans[path] = [hangs_up] * 4
    office.sns.publish(TopicArn=topic, Message="nobody there")
    lines = told(office, 2, failed=True)
    [line] = [one for one in lines if "statusCode" not in one["delivery"]]
    assert line["delivery"]["attempts"] == 4


def test_only_what_was_asked_for_is_told(office: Office) -> None:
    topic = office.topic(
        SQSSuccessFeedbackRoleArn=ROLE, SQSSuccessFeedbackSampleRate="0", HTTPSuccessFeedbackRoleArn=ROLE
    )
    office.subscribed_queue(topic)
    office.sns.publish(TopicArn=topic, Message="left out")
    office.sns.set_topic_attributes(TopicArn=topic, AttributeName="SQSSuccessFeedbackSampleRate", AttributeValue="100")
    message_id = office.sns.publish(TopicArn=topic, Message="told")["MessageId"]
    assert [line["notification"]["messageId"] for line in told(office, 1)] == [message_id]


def test_about_as_many_successes_are_told_as_the_sample_rate_says(office: Office) -> None:
    topic = office.topic(SQSSuccessFeedbackRoleArn=ROLE, SQSSuccessFeedbackSampleRate="50")
    office.subscribed_queue(topic)
    for _ in range(10):
        entries = [{"Id": str(number), "Message": f"m{number}"} for number in range(10)]
        assert not office.sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries).get("Failed")
    assert 20 < len(told(office, 1)) < 80


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SQSSuccessFeedbackSampleRate", "101"),
        ("SQSSuccessFeedbackSampleRate", "half"),
        ("HTTPFailureFeedbackRoleArn", "role"),
    ],
)
def test_an_attribute_that_cannot_be_acted_on_is_refused(office: Office, name: str, value: str) -> None:
    topic = office.topic()
    with refused("InvalidParameter", name):
        office.sns.set_topic_attributes(TopicArn=topic, AttributeName=name, AttributeValue=value)
