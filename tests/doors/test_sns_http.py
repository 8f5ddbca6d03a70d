"""HTTP endpoints of topics: the handshake, headers and signatures, and what follows from each way to answer badly."""

import json
import urllib.error
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import self_signed
from tests.doors.asking import configured, tocsin
from tests.doors.endpoint import Answer, Endpoint, body, garbage, hangs_up, http_endpoint, status
from tests.doors.sns import Office, fetched, verify
from tests.harness import RunningServer, eventually

QUICK = {"minDelayTarget": 1, "maxDelayTarget": 1, "numRetries": 3, "numNoDelayRetries": 3}


def subscribed(office: Office, endpoint: Endpoint, topic: str, path: str, **attributes: str) -> str:
    """A confirmed subscription's ARN."""
    office.sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=endpoint.url + path, Attributes=attributes)
    [asked] = endpoint.wait_for(path)
    answer = fetched(asked.envelope["SubscribeURL"]).decode()
    assert "<ConfirmSubscriptionResponse" in answer
    return answer.partition("<SubscriptionArn>")[2].partition("<")[0]


def test_the_handshake_is_awss(office: Office, endpoint: Endpoint) -> None:
    topic, path = office.topic(SignatureVersion="2"), f"/handshake{office.account}"
    office.sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=endpoint.url + path)
    [asked] = endpoint.wait_for(path)
    assert asked.headers["x-amz-sns-message-type"] == "SubscriptionConfirmation"
    assert asked.headers["x-amz-sns-topic-arn"] == topic
    assert asked.headers["content-type"] == "text/plain; charset=UTF-8"
    assert asked.headers["user-agent"] == "Amazon Simple Notification Service Agent"
    envelope = asked.envelope
    assert list(envelope) == [
        *("Type", "MessageId", "Token", "TopicArn", "Message", "SubscribeURL", "Timestamp"),
        *("SignatureVersion", "Signature", "SigningCertURL"),
    ]
    assert envelope["MessageId"] == asked.headers["x-amz-sns-message-id"]
    verify(envelope)
    office.sns.publish(TopicArn=topic, Message="too early")
    arn = office.sns.confirm_subscription(TopicArn=topic, Token=envelope["Token"])["SubscriptionArn"]
    assert office.told(arn)["PendingConfirmation"] == "false"
    sent = office.sns.publish(TopicArn=topic, Message="ünïcode", Subject="s")
    [heard] = endpoint.wait_for(path, kind="Notification")
    assert heard.headers["x-amz-sns-subscription-arn"] == arn
    assert (heard.envelope["Message"], heard.envelope["MessageId"]) == ("ünïcode", sent["MessageId"])
    verify(heard.envelope)


def test_raw_delivery_posts_the_message_alone(office: Office, endpoint: Endpoint) -> None:
    topic, path = office.topic(), f"/raw{office.account}"
    policy = {"requestPolicy": {"headerContentType": "application/json"}}
    subscribed(office, endpoint, topic, path, RawMessageDelivery="true", DeliveryPolicy=json.dumps(policy))
    office.sns.publish(TopicArn=topic, Message='{"a":1}')
    [heard] = endpoint.wait_for(path, kind="Notification")
    assert heard.body == '{"a":1}'
    assert heard.headers["x-amz-sns-rawdelivery"] == "true"
    assert heard.headers["content-type"] == "application/json"


def test_the_unsubscribe_link_works_and_can_be_taken_back(office: Office, endpoint: Endpoint) -> None:
    topic, path = office.topic(), f"/leave{office.account}"
    arn = subscribed(office, endpoint, topic, path)
    office.sns.publish(TopicArn=topic, Message="one")
    [heard] = endpoint.wait_for(path, kind="Notification")
    assert b"<UnsubscribeResponse" in fetched(heard.envelope["UnsubscribeURL"])
    [goodbye] = endpoint.wait_for(path, kind="UnsubscribeConfirmation")
    verify(goodbye.envelope)
    assert office.told(arn)["PendingConfirmation"] == "true"
    fetched(goodbye.envelope["SubscribeURL"])
    assert office.told(arn)["PendingConfirmation"] == "false"


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("500", status(500)),
        ("503", status(503)),
        ("429", status(429, Retry_After="1")),
        ("hangs up", hangs_up),
        ("garbage", garbage),
    ],
)
def test_what_may_pass_is_tried_again(office: Office, endpoint: Endpoint, name: str, answer: Answer) -> None:
    topic, path = office.topic(), f"/again{office.account}"
    subscribed(office, endpoint, topic, path, DeliveryPolicy=json.dumps({"healthyRetryPolicy": QUICK}))
    endpoint.plans[path] = [answer, answer]
    office.sns.publish(TopicArn=topic, Message=name)
    heard = endpoint.wait_for(path, 3, kind="Notification")
    assert {one.envelope["MessageId"] for one in heard} == {heard[0].envelope["MessageId"]}


@pytest.mark.parametrize(
    ("answers", "attempts", "why"),
    [
        ([status(404)], 1, "404"),
        ([status(301, Location="http://127.0.0.1:9/")], 1, "301"),
        ([status(500)] * 4, 4, "500"),
    ],
)
def test_what_is_given_up_goes_to_the_dead_letter_queue(
    office: Office, endpoint: Endpoint, answers: list[Answer], attempts: int, why: str
) -> None:
    topic, path = office.topic(), f"/dead{office.account}"
    dead_url, dead_arn = office.queue("dead")
    subscribed(
        office,
        endpoint,
        topic,
        path,
        DeliveryPolicy=json.dumps({"healthyRetryPolicy": QUICK}),
        RedrivePolicy=json.dumps({"deadLetterTargetArn": dead_arn}),
    )
    endpoint.plans[path] = list(answers)
    sent = office.sns.publish(TopicArn=topic, Message="m")
    [letter] = eventually(lambda: office.received(dead_url, wait_s=20), "a letter")
    told = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert set(told) == {"RequestID", "ErrorCode", "ErrorMessage", "RetryAttempts"}
    assert (told["RequestID"], told["RetryAttempts"]) == (sent["MessageId"], str(attempts - 1))
    assert why in told["ErrorMessage"]
    assert json.loads(letter["Body"])["Message"] == "m"
    assert len(endpoint.at(path, "Notification")) == attempts


def test_an_endpoint_that_hangs_delays_no_other(office: Office, endpoint: Endpoint) -> None:
    topic, slow, quick = office.topic(), f"/slow{office.account}", f"/quick{office.account}"
    subscribed(office, endpoint, topic, slow)
    subscribed(office, endpoint, topic, quick)
    endpoint.plans[slow] = [endpoint.hangs] * 5
    for number in range(5):
        office.sns.publish(TopicArn=topic, Message=f"{number}")
    heard = endpoint.wait_for(quick, 5, kind="Notification")
    assert sorted(one.envelope["Message"] for one in heard) == [f"{number}" for number in range(5)]
    endpoint.wait_for(slow, kind="Notification")  # it was tried, too


def test_a_throttle_policy_paces_the_posts(office: Office, endpoint: Endpoint) -> None:
    topic, path = office.topic(), f"/paced{office.account}"
    policy = {"throttlePolicy": {"maxReceivesPerSecond": 5}}
    subscribed(office, endpoint, topic, path, DeliveryPolicy=json.dumps(policy))
    for number in range(4):
        office.sns.publish(TopicArn=topic, Message=f"{number}")
    heard = endpoint.wait_for(path, 4, kind="Notification")
    assert sorted(one.envelope["Message"] for one in heard) == ["0", "1", "2", "3"]


def outcome_of(office: Office, *options: str, to: str = "alarms") -> tuple[int, str]:
    where = ("--endpoint-url", office.server.endpoint, "--account", office.account)
    done = tocsin("notify", "test", to, *where, *options)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_notify_test_reports_each_hop(office: Office, endpoint: Endpoint) -> None:
    topic, path = office.topic(), f"/tested{office.account}"
    subscribed(office, endpoint, topic, path)
    office.subscribed_queue(topic, "heard")
    office.subscribed_queue(topic, "unheard", FilterPolicy='{"a":["b"]}')
    code, said = outcome_of(office)
    assert code == 0
    assert f"sent to {topic}" in said
    assert f"{path}  delivered: 200" in said
    assert ":heard  delivered\n" in said
    assert ":unheard  filtered: The filter policy does not match." in said
    endpoint.plans[path] = [status(404)]
    code, said = outcome_of(office, "--output", "json")
    assert code == 1
    hops: dict[str, Any] = {hop["protocol"]: hop for hop in json.loads(said)["hops"] if hop["protocol"] == "http"}
    assert hops["http"]["became"] == "given up"
    assert "404" in hops["http"]["why"]


def test_notify_test_says_what_is_not_there(office: Office) -> None:
    done = tocsin("notify", "test", "gone", "--endpoint-url", office.server.endpoint, "--account", office.account)
    assert done.returncode == 1
    assert "There is no topic or channel gone" in done.stderr
    topic = office.topic()
    code, said = outcome_of(office)
    assert (code, "nobody hears it" in said) == (1, True)
    office.sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="asleep@example.com")
    code, said = outcome_of(office)
    assert (code, "asleep@example.com  unconfirmed: It was asked to confirm" in said) == (1, True)


def test_notify_test_reaches_a_channel_by_its_name(tmp_path: Path, account: str, endpoint: Endpoint) -> None:
    path = f"/slack{account}"
    endpoint.plans[path] = [body("ok")]
    with configured(tmp_path, f'[chat.channels.ops]\nwebhook = "{endpoint.url}{path}"\n') as server:
        role = f"arn:aws:iam::{account}:role/chat"
        for name, channel in (("ops", "C1"), ("other", "C2")):
            server.client("chatbot", account).create_slack_channel_configuration(
                SlackTeamId="T1", SlackChannelId=channel, IamRoleArn=role, ConfigurationName=name
            )
        code, said = outcome_of(Office(server, account), to="ops")
        assert (code, "delivered" in said) == (0, True), said
        assert "notify test" in endpoint.at(path)[0].body
        code, said = outcome_of(Office(server, account), "--wait", "0", to="other")
        assert code == 1


def test_a_rule_into_a_topic_that_nobody_hears_says_so(office: Office) -> None:
    topic = office.topic()
    office.events.put_rule(Name="r", EventPattern='{"source":["my.app"]}')
    office.events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": topic}])
    explain = ("rule", "explain", "r", "--endpoint-url", office.server.endpoint, "--account", office.account)
    office.sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="me@example.com")
    said = "The topic alarms of target 1 has no confirmed subscription and no chat's channel; 1 waits to be confirmed."
    assert said in tocsin(*explain).stdout
    office.subscribed_queue(topic)
    assert "no confirmed subscription" not in tocsin(*explain).stdout
    office.sns.delete_topic(TopicArn=topic)
    assert "The topic alarms of target 1 does not exist" in tocsin(*explain).stdout


def test_links_need_no_signature_where_everything_else_does(tmp_path: Path, endpoint: Endpoint) -> None:
    with configured(tmp_path, '[access_keys]\n444455556666 = "secret"\n') as server:
        office = Office(server, "444455556666")
        arn = subscribed(office, endpoint, office.topic(), "/keys")
        assert office.told(arn)["PendingConfirmation"] == "false"
        with pytest.raises(urllib.error.HTTPError) as raised:
            fetched(f"{server.endpoint}/?Action=ListTopics&Version=2010-03-31")
        assert raised.value.code == 403
        raised.value.close()


def test_https_endpoints_prove_themselves(tmp_path: Path, server: RunningServer, account: str) -> None:
    pair = self_signed(tmp_path)
    with http_endpoint(pair) as secure, configured(tmp_path, f'[outside]\nca_file = "{pair[0]}"\n') as trusting:
        asked = {"Protocol": "https", "Endpoint": f"{secure.url}/s"}
        doubting = Office(server, account)
        arn = doubting.sns.subscribe(TopicArn=doubting.topic(), **asked, ReturnSubscriptionArn=True)["SubscriptionArn"]
        office = Office(trusting, account)
        office.sns.subscribe(TopicArn=office.topic(), **asked)
        secure.wait_for("/s")
        said = eventually(lambda: "certificate" in (text := _owed(doubting, arn)) and text, "the doubt")
        assert "CERTIFICATE_VERIFY_FAILED" in said
        assert len(secure.at("/s")) == 1


def _owed(office: Office, arn: str) -> str:
    where = ("--endpoint-url", office.server.endpoint, "--account", office.account)
    return tocsin("deliveries", *where, "--output", "json").stdout


def test_links_lead_to_where_the_server_is_reached(tmp_path: Path, account: str, endpoint: Endpoint) -> None:
    with configured(tmp_path, 'public_url = "https://tocsin.example.com/ops/"\n') as server:
        office = Office(server, account)
        office.sns.subscribe(TopicArn=office.topic(), Protocol="http", Endpoint=f"{endpoint.url}/public{account}")
        [asked] = endpoint.wait_for(f"/public{account}")
        assert asked.envelope["SubscribeURL"].startswith("https://tocsin.example.com/ops/_tocsin/sns/?Action=")
        assert asked.envelope["SigningCertURL"].startswith("https://tocsin.example.com/ops/_tocsin/sns/Simple")


def test_what_is_owed_outlives_the_server(tmp_path: Any, account: str, endpoint: Endpoint) -> None:
    path = f"/kept{account}"
    server = RunningServer(tmp_path / "data")
    office = Office(server, account)
    topic = office.topic()
    policy = {"minDelayTarget": 1, "maxDelayTarget": 1, "numRetries": 50}
    subscribed(office, endpoint, topic, path, DeliveryPolicy=json.dumps({"healthyRetryPolicy": policy}))
    endpoint.plans[path] = [status(503)] * 2
    office.sns.publish(TopicArn=topic, Message="kept")
    eventually(lambda: endpoint.at(path, "Notification"), "the first attempt")
    server.kill()
    again = RunningServer(tmp_path / "data")
    try:
        assert endpoint.wait_for(path, 3, kind="Notification")[-1].envelope["Message"] == "kept"
    finally:
        again.stop()
