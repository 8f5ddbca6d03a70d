"""What mails say: plain text as AWS, a card for who asks, nothing that breaks out of a header or an element."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tocsin.core.cards import Hints
from tocsin.core.topics.mails import SUBJECT, confirmation, digest, in_a_line, notice
from tocsin.model.names import Scope
from tocsin.model.topic import HeldMail, Subscription, Topic, TopicMessage

SCOPE = Scope("111122223333", "us-west-2")
TOPIC = Topic(scope=SCOPE, name="alarms", created_ms=0, attributes={"DisplayName": "Night watch"})
HINTS = Hints(topic="alarms", previous="InService", console_link="https://c.example.com/{cluster}")
LEAVE = "https://t.example.com/u?a=1&b=2"
CLUSTER_ARN = "arn:aws:sagemaker:us-west-2:111122223333:cluster/abcdefghijkl"


def subscription(**attributes: str) -> Subscription:
    return Subscription(
        scope=SCOPE,
        topic="alarms",
        id="s",
        protocol="email",
        endpoint="me@example.com",
        token="t",
        token_ms=0,
        created_ms=0,
        attributes=attributes,
    )


def message(text: str, subject: str = "") -> TopicMessage:
    return TopicMessage(topic_arn=TOPIC.arn, message_id="m", at_ms=0, message=text, subject=subject)


def event(kind: str, **detail: Any) -> str:
    return json.dumps({"detail-type": kind, "source": "aws.sagemaker", "detail": detail, "region": "us-west-2"})


def test_a_plain_mail_is_the_message_and_a_way_out() -> None:
    mail = notice(TOPIC, subscription(), message('{"a": 1}'), '{"a": 1}', LEAVE, HINTS)
    assert (mail.subject, mail.html, mail.sender_name) == (SUBJECT, "", "Night watch")
    assert mail.text.startswith('{"a": 1}\n\n--\n')
    assert LEAVE in mail.text
    assert mail.unsubscribe == LEAVE


def test_a_state_change_is_told_readably() -> None:
    text = event(
        "SageMaker HyperPod Cluster State Change",
        ClusterName="train",
        ClusterArn=CLUSTER_ARN,
        ClusterStatus="Updating",
        FailureMessage="Two instances did not come up.",
        InstanceGroups=[{"InstanceGroupName": "worker", "CurrentCount": 3, "TargetCount": 5, "Status": "Updating"}],
    )
    mail = notice(TOPIC, subscription(MailFormat="html"), message(text), text, LEAVE, HINTS)
    assert mail.subject == "Cluster train is Updating"
    for said in (
        "InService → Updating",
        "worker: 3 of 5",
        "Two instances did not come up.",
        "https://c.example.com/train",
    ):
        assert said in mail.html
    assert mail.text.startswith(text)


def test_a_node_event_says_why_and_what_happens_next() -> None:
    text = event(
        "SageMaker HyperPod Cluster Node Health Event",
        ClusterName="train",
        ClusterArn=CLUSTER_ARN,
        InstanceId="i-0123456789abcdef0",
        HealthSummary={
            "HealthStatus": "Unhealthy",
            "HealthStatusReason": "fault type NvidiaXid79",
            "RepairAction": "Replace",
            "Recommendation": "Please wait.",
        },
    )
    mail = notice(TOPIC, subscription(MailFormat="html"), message(text), text, LEAVE, HINTS)
    assert "i-0123456789abcdef0" in mail.subject
    for said in ("fault type NvidiaXid79", "Replace", "Please wait."):
        assert said in mail.html
    assert "NvidiaXid79" in in_a_line(message(text), text, HINTS)


def test_a_cluster_event_is_told_readably() -> None:
    details = {
        "Description": "Instance provisioning failed",
        "EventLevel": "Error",
        "ClusterName": "train",
        "ClusterArn": CLUSTER_ARN,
        "InstanceGroupName": "worker",
        "EventMetadata": {"Instance": {"FailureMessage": "No capacity"}},
    }
    text = event("SageMaker HyperPod Cluster Event", EventDetails=details)
    mail = notice(TOPIC, subscription(MailFormat="html"), message(text), text, LEAVE, HINTS)
    assert mail.subject == "Instance provisioning failed"
    for said in ("worker", "No capacity", "Error"):
        assert said in mail.html


@given(st.text(max_size=300))
def test_no_text_breaks_out_of_the_html_or_the_subject(text: str) -> None:
    name = f"{text}<script>\r\nBcc: x"
    hostile = event("SageMaker HyperPod Cluster State Change", ClusterName=name, ClusterStatus="Failed")
    mail = notice(TOPIC, subscription(MailFormat="html"), message(hostile), hostile, LEAVE, HINTS)
    assert "<script" not in mail.html
    assert "\n" not in mail.subject
    assert "\r" not in mail.subject


def test_a_confirmation_has_its_link_and_no_way_out() -> None:
    mail = confirmation(TOPIC, subscription(), "https://t.example.com/c?Token=x")
    assert "https://t.example.com/c?Token=x" in mail.text
    assert mail.unsubscribe == ""


def test_a_digest_lists_each_message_in_a_line() -> None:
    held = [
        HeldMail(scope=SCOPE, topic="alarms", subscription="s", place=n, at_ms=n, line=f"line {n}") for n in range(3)
    ]
    mail = digest(TOPIC, subscription(), held, 2, LEAVE)
    assert mail.subject == "3 more notifications of alarms"
    for said in ("line 0\n", "line 1\n", "line 2\n", "2 more follow", LEAVE):
        assert said in mail.text


def test_a_long_message_is_cut_in_its_line() -> None:
    assert len(in_a_line(message("x\n" * 1000), "x\n" * 1000, HINTS)) == 300
