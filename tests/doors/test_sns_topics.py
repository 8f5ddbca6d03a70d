"""Topics and subscriptions over the wire: boto3 and the AWS CLI as they are, the refusals in AWS's words."""

import json
from typing import Any

import pytest

from tests.doors.asking import refusal
from tests.doors.shell import Shell
from tests.doors.sns import Office
from tests.harness import REGION

NO_TOPIC = ("NotFound", "Topic does not exist", 404)


def invalid(text: str) -> tuple[str, str, int]:
    return ("InvalidParameter", f"Invalid parameter: {text}", 400)


# topics


def test_a_topic_is_made_once_and_is_gone_when_deleted(office: Office) -> None:
    arn = office.topic("alarms", DisplayName="Night watch")
    assert arn == f"arn:aws:sns:{REGION}:{office.account}:alarms"
    assert office.topic("alarms", DisplayName="Night watch") == arn == office.topic("alarms")
    assert refusal(office.sns.create_topic, Name="alarms", Attributes={"DisplayName": "Other"}) == invalid(
        "Attributes Reason: Topic already exists with different attributes"
    )
    office.sns.delete_topic(TopicArn=arn)
    office.sns.delete_topic(TopicArn=arn)
    assert refusal(office.sns.get_topic_attributes, TopicArn=arn) == NO_TOPIC
    assert office.sns.list_topics()["Topics"] == []


def test_topics_and_subscriptions_are_listed_a_hundred_at_a_time(office: Office) -> None:
    arns = sorted(office.topic(f"t{number:03}") for number in range(103))
    pages = list(office.sns.get_paginator("list_topics").paginate())
    assert [len(page["Topics"]) for page in pages] == [100, 3]
    assert [topic["TopicArn"] for page in pages for topic in page["Topics"]] == arns
    for number in range(101):
        office.sns.subscribe(TopicArn=arns[0], Protocol="email", Endpoint=f"a{number}@example.com")
    office.sns.subscribe(TopicArn=arns[1], Protocol="email", Endpoint="b@example.com")
    for name, asked, total in (
        ("list_subscriptions", {}, 102),
        ("list_subscriptions_by_topic", {"TopicArn": arns[0]}, 101),
    ):
        sizes = [len(page["Subscriptions"]) for page in office.sns.get_paginator(name).paginate(**asked)]
        assert sizes == [100, total - 100]
    assert refusal(office.sns.list_topics, NextToken="x") == invalid("NextToken")


def test_a_topics_attributes_are_told_and_set(office: Office) -> None:
    arn = office.topic()
    found = office.sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    assert (found["TopicArn"], found["Owner"], found["SubscriptionsConfirmed"]) == (arn, office.account, "0")
    assert json.loads(found["Policy"])["Id"] == "__default_policy_ID"
    assert json.loads(found["EffectiveDeliveryPolicy"])["http"]["defaultHealthyRetryPolicy"]["numRetries"] == 3
    office.subscribed_queue(arn)
    office.sns.subscribe(TopicArn=arn, Protocol="email", Endpoint="a@example.com")
    for name, value in (("DisplayName", "Night"), ("SignatureVersion", "2"), ("KmsMasterKeyId", "alias/aws/sns")):
        office.sns.set_topic_attributes(TopicArn=arn, AttributeName=name, AttributeValue=value)
        assert office.sns.get_topic_attributes(TopicArn=arn)["Attributes"][name] == value
    found = office.sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    assert (found["SubscriptionsConfirmed"], found["SubscriptionsPending"]) == ("1", "1")
    office.sns.set_topic_attributes(TopicArn=arn, AttributeName="KmsMasterKeyId", AttributeValue="")
    assert "KmsMasterKeyId" not in office.sns.get_topic_attributes(TopicArn=arn)["Attributes"]


@pytest.mark.parametrize(
    ("name", "attributes", "text"),
    [
        ("bad name!", {}, "Topic Name"),
        ("x.fifo", {}, "Topic Name"),
        ("x", {"FifoTopic": "true"}, "Fifo Topic names must end with .fifo"),
        ("x", {"Nonsense": "1"}, "AttributeName"),
        ("x", {"ContentBasedDeduplication": "true"}, "AttributeName"),
        ("x", {"SignatureVersion": "3"}, "SignatureVersion Reason: must be one of 1, 2"),
        ("x", {"MaximumMessageSize": "9"}, "MaximumMessageSize Reason"),
        ("x", {"Policy": "no"}, "Policy Error: null"),
        ("x", {"DisplayName": "a\r\nBcc: b@example.com"}, "DisplayName Reason: control characters"),
        ("x", {"DeliveryPolicy": "{"}, "DeliveryPolicy: failed to parse JSON."),
        ("x", {"DeliveryPolicy": '{"https":{}}'}, "DeliveryPolicy: Unexpected JSON member: https"),
    ],
)
def test_topics_are_refused_in_awss_words(office: Office, name: str, attributes: dict[str, str], text: str) -> None:
    refused = refusal(office.sns.create_topic, Name=name, Attributes=attributes)
    assert refused.code == "InvalidParameter"
    assert refused.message.startswith(f"Invalid parameter: {text}")


def test_an_arn_is_an_arn_of_ones_own(office: Office) -> None:
    assert refusal(office.sns.get_topic_attributes, TopicArn="alarms") == invalid(
        "TopicArn Reason: An ARN must have at least 6 elements, not 1"
    )
    other = f"arn:aws:sns:{REGION}:999999999999:alarms"
    for call, asked in (
        (office.sns.get_topic_attributes, {}),
        (office.sns.publish, {"Message": "x"}),
        (office.sns.subscribe, {"Protocol": "email", "Endpoint": "a@example.com"}),
        (office.sns.list_subscriptions_by_topic, {}),
        (office.sns.set_topic_attributes, {"AttributeName": "DisplayName", "AttributeValue": "x"}),
    ):
        assert refusal(call, TopicArn=other, **asked) == NO_TOPIC


def test_permissions_are_statements_of_the_policy(office: Office) -> None:
    arn = office.topic()
    asked = {"TopicArn": arn, "Label": "lend", "AWSAccountId": ["999999999999"], "ActionName": ["Publish"]}
    office.sns.add_permission(**asked)
    statements = json.loads(office.sns.get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"])["Statement"]
    assert statements[-1] == {
        "Sid": "lend",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::999999999999:root"},
        "Action": "SNS:Publish",
        "Resource": arn,
    }
    assert refusal(office.sns.add_permission, **asked) == invalid("Statement already exists")
    assert refusal(office.sns.add_permission, **{**asked, "Label": "b", "ActionName": ["Fly"]}) == invalid(
        "Policy statement action out of service scope!"
    )
    office.sns.remove_permission(TopicArn=arn, Label="lend")
    office.sns.remove_permission(TopicArn=arn, Label="lend")
    policy = json.loads(office.sns.get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"])
    assert [one["Sid"] for one in policy["Statement"]] == ["__default_statement_ID"]


def test_tags_go_with_the_topic(office: Office) -> None:
    arn = str(office.sns.create_topic(Name="t", Tags=[{"Key": "team", "Value": "night"}])["TopicArn"])
    office.sns.tag_resource(ResourceArn=arn, Tags=[{"Key": "b", "Value": ""}])
    office.sns.untag_resource(ResourceArn=arn, TagKeys=["team"])
    assert office.sns.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": ""}]
    assert refusal(office.sns.create_topic, Name="t", Tags=[{"Key": "b", "Value": "c"}]) == invalid(
        "Tags Reason: Topic already exists with different tags"
    )
    many = [{"Key": f"k{number}", "Value": ""} for number in range(50)]
    assert refusal(office.sns.tag_resource, ResourceArn=arn, Tags=many).code == "TagLimitExceeded"
    office.sns.delete_topic(TopicArn=arn)
    assert refusal(office.sns.list_tags_for_resource, ResourceArn=arn) == (
        "ResourceNotFound",
        "Resource does not exist",
        404,
    )
    office.topic("t")
    assert office.sns.list_tags_for_resource(ResourceArn=arn)["Tags"] == []


def test_what_is_not_there_says_so(office: Office) -> None:
    arn = office.topic()
    for call, asked in (
        (office.sns.create_platform_application, {"Name": "a", "Platform": "GCM", "Attributes": {}}),
        (office.sns.publish, {"PhoneNumber": "+1234567890", "Message": "x"}),
        (office.sns.subscribe, {"TopicArn": arn, "Protocol": "sms", "Endpoint": "+1234567890"}),
        (office.sns.subscribe, {"TopicArn": arn, "Protocol": "lambda", "Endpoint": "arn:aws:lambda:x"}),
        (office.sns.put_data_protection_policy, {"ResourceArn": arn, "DataProtectionPolicy": '{"Statement":[1]}'}),
    ):
        refused = refusal(call, **asked)
        assert (refused.code, refused.status) == ("NotImplemented", 501)
        assert "not implemented in Tocsin" in refused.message
    office.sns.put_data_protection_policy(ResourceArn=arn, DataProtectionPolicy="{}")
    assert office.sns.get_data_protection_policy(ResourceArn=arn)["DataProtectionPolicy"] == "{}"


# subscriptions


def test_a_queue_of_ones_own_is_subscribed_at_once(office: Office) -> None:
    topic = office.topic()
    _, arn = office.subscribed_queue(topic, RawMessageDelivery="true")
    assert arn.startswith(f"{topic}:")
    queue = f"arn:aws:sqs:{REGION}:{office.account}:q"
    listed = {"SubscriptionArn": arn, "Owner": office.account, "Protocol": "sqs", "Endpoint": queue, "TopicArn": topic}
    assert office.sns.list_subscriptions()["Subscriptions"] == [listed]
    again = office.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    assert again["SubscriptionArn"] == arn
    assert refusal(
        office.sns.subscribe, TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "false"}
    ) == invalid("Attributes Reason: Subscription already exists with different attributes")
    found = office.told(arn)
    assert (found["PendingConfirmation"], found["RawMessageDelivery"], found["Protocol"]) == ("false", "true", "sqs")
    office.sns.unsubscribe(SubscriptionArn=arn)
    office.sns.unsubscribe(SubscriptionArn=arn)
    gone = refusal(office.sns.get_subscription_attributes, SubscriptionArn=arn)
    assert gone == ("NotFound", "Subscription does not exist", 404)


def test_who_was_not_asked_yet_is_pending(office: Office) -> None:
    topic = office.topic()
    asked = {"TopicArn": topic, "Protocol": "email", "Endpoint": "a@example.com"}
    assert office.sns.subscribe(**asked)["SubscriptionArn"] == "pending confirmation"
    arn = office.sns.subscribe(**asked, ReturnSubscriptionArn=True)["SubscriptionArn"]
    [listed] = office.sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert listed["SubscriptionArn"] == "PendingConfirmation"
    assert office.told(arn)["PendingConfirmation"] == "true"
    assert refusal(office.sns.confirm_subscription, TopicArn=topic, Token="x") == invalid("Token")


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({"Protocol": "pigeon", "Endpoint": "x"}, "Amazon SNS does not support this protocol string: pigeon"),
        ({"Protocol": "email", "Endpoint": "nobody"}, "Email address"),
        ({"Protocol": "email", "Endpoint": "a@example.com\r\nBcc: b@example.com"}, "Email address"),
        ({"Protocol": "http", "Endpoint": "https://x"}, "Endpoint must match the specified protocol"),
        ({"Protocol": "http", "Endpoint": "http://"}, "Endpoint Reason: not a URL"),
        ({"Protocol": "http", "Endpoint": "http://a b"}, "Endpoint Reason: not a URL"),
        ({"Protocol": "http"}, "Endpoint"),
        ({"Protocol": "sqs", "Endpoint": "q"}, "SQS endpoint ARN"),
        (
            {"Protocol": "sqs", "Endpoint": "arn:aws:sqs:us-west-2:1:q.fifo"},
            "Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics",
        ),
    ],
)
def test_endpoints_are_refused_in_awss_words(office: Office, asked: dict[str, Any], text: str) -> None:
    assert refusal(office.sns.subscribe, TopicArn=office.topic(), **asked) == invalid(text)


@pytest.mark.parametrize(
    ("protocol", "name", "value", "text"),
    [
        ("sqs", "Nonsense", "1", "AttributeName"),
        ("sqs", "RawMessageDelivery", "x", "RawMessageDelivery: Invalid value [x]. Must be true or false."),
        (
            "email",
            "RawMessageDelivery",
            "true",
            "RawMessageDelivery Reason: Delivery protocol [email] does not support raw message delivery.",
        ),
        ("sqs", "RedrivePolicy", "{}", "RedrivePolicy: deadLetterTargetArn is an invalid arn"),
        ("sqs", "RedrivePolicy", "x", "RedrivePolicy: failed to parse JSON."),
        ("sqs", "FilterPolicy", "[", "FilterPolicy: failed to parse JSON."),
        ("sqs", "FilterPolicy", '{"a":{"b":["c"]}}', "FilterPolicy: Filter policy scope MessageAttributes does not"),
        ("sqs", "FilterPolicy", '{"a":[{"wildcard":"x*"}]}', "FilterPolicy: Unrecognized match type wildcard"),
        ("sqs", "FilterPolicy", '{"a":"b"}', 'FilterPolicy: "a" must be an object or an array'),
        (
            "sqs",
            "FilterPolicyScope",
            "Body",
            "FilterPolicyScope: Invalid value [Body]. Please use either MessageBody or MessageAttributes",
        ),
        ("sqs", "DeliveryPolicy", "{}", "DeliveryPolicy Reason: Delivery protocol [sqs] does not support"),
        ("http", "DeliveryPolicy", '{"healthyRetryPolicy":{"numRetries":101}}', "DeliveryPolicy: healthyRetryPolicy"),
        ("email", "MailFormat", "pdf", "MailFormat Reason"),
        ("sqs", "MailFormat", "html", "MailFormat Reason"),
        ("email", "MailsPerMinute", "0", "MailsPerMinute Reason"),
    ],
)
def test_attributes_of_subscriptions_are_refused_in_awss_words(
    office: Office, protocol: str, name: str, value: str, text: str
) -> None:
    topic = office.topic()
    endpoint = {"sqs": office.queue()[1], "http": "http://127.0.0.1:9", "email": "a@example.com"}[protocol]
    asked = {"TopicArn": topic, "Protocol": protocol, "Endpoint": endpoint}
    refused = refusal(office.sns.subscribe, **asked, Attributes={name: value})
    assert refused.message.startswith(f"Invalid parameter: {text}")
    arn = office.sns.subscribe(**asked, ReturnSubscriptionArn=True)["SubscriptionArn"]
    set_it = {"SubscriptionArn": arn, "AttributeName": name, "AttributeValue": value}
    assert refusal(office.sns.set_subscription_attributes, **set_it) == refused


def test_a_filter_policy_has_bounds(office: Office) -> None:
    _, arn = office.subscribed_queue(office.topic())

    def refused(policy: Any) -> str:
        set_it = {"SubscriptionArn": arn, "AttributeName": "FilterPolicy", "AttributeValue": json.dumps(policy)}
        return refusal(office.sns.set_subscription_attributes, **set_it).message

    too_many = {f"k{number}": ["a"] for number in range(6)}
    assert refused(too_many) == "Invalid parameter: FilterPolicy: Filter policy can not have more than 5 keys"
    complex_one = {name: [str(number) for number in range(6)] for name in ("a", "b", "c")}
    assert refused(complex_one) == "Invalid parameter: FilterPolicy: Filter policy is too complex"


def test_the_aws_cli_works_as_it_is(office: Office, shell: Shell) -> None:
    def cli(*arguments: str) -> Any:
        return shell.run("sns", (arguments, ""))

    topic = cli("create-topic", "--name", "cli", "--tags", "Key=a,Value=b")["TopicArn"]
    url, queue = office.queue()
    made = cli("subscribe", "--topic-arn", topic, "--protocol", "sqs", "--notification-endpoint", queue)
    raw = ("--attribute-name", "RawMessageDelivery", "--attribute-value", "true")
    cli("set-subscription-attributes", "--subscription-arn", made["SubscriptionArn"], *raw)
    cli("publish", "--topic-arn", topic, "--message", "ünïcode & <tags>", "--subject", "s")
    assert office.bodies(url) == ["ünïcode & <tags>"]
    shell.run("sns", ("get-topic-attributes --topic-arn x", "InvalidParameter"))
