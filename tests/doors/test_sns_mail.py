"""E-mail for real: confirmations, notifications, digests, unsubscribing, refusals, over SMTP."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.certificates import self_signed
from tests.doors.asking import configured, tocsin
from tests.doors.mailbox import PASSWORD, USER, Mailbox, smtp_server, text_of
from tests.doors.sns import Office, fetched, verify
from tests.harness import WAIT_S, RunningServer, eventually

SENDER = "tocsin@example.com"


class Post(NamedTuple):
    server: RunningServer
    mailbox: Mailbox


@pytest.fixture(scope="module")
def post(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Post]:
    with smtp_server() as mailbox:
        toml = f'[mail]\nhost = "127.0.0.1"\nport = {mailbox.port}\nfrom_address = "{SENDER}"\n'
        with configured(tmp_path_factory.mktemp("mail"), toml) as server:
            yield Post(server, mailbox)


@pytest.fixture
def office(post: Post, account: str) -> Office:
    return Office(post.server, account)


def link_in(text: str) -> str:
    [found] = re.findall(r"http://\S+", text)
    return str(found)


def clicked(url: str) -> str:
    return fetched(url).decode()


def posted(url: str) -> str:
    with urllib.request.urlopen(url, data=b"List-Unsubscribe=One-Click", timeout=WAIT_S) as answer:
        return str(answer.read().decode())


def subscribed(office: Office, mailbox: Mailbox, topic: str, address: str, protocol: str = "email", **more: str) -> str:
    """A confirmed subscription's ARN."""
    arn = office.sns.subscribe(
        TopicArn=topic, Protocol=protocol, Endpoint=address, Attributes=more, ReturnSubscriptionArn=True
    )["SubscriptionArn"]
    [asked] = mailbox.wait_for(address)
    assert "Subscription confirmed" in clicked(link_in(text_of(asked)))
    return str(arn)


def test_who_clicks_the_link_is_subscribed_and_hears(office: Office, post: Post) -> None:
    topic, me = office.topic(DisplayName="Night wätch"), f"me{office.account}@example.com"
    office.sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=me)
    [asked] = post.mailbox.wait_for(me)
    assert asked["Subject"] == "AWS Notification - Subscription Confirmation"
    assert asked["From"] == SENDER
    office.sns.publish(TopicArn=topic, Message="too early")
    page = clicked(link_in(text_of(asked)))
    assert "Subscription confirmed" in page
    assert "Subscription confirmed" in clicked(link_in(text_of(asked)))
    [listed] = office.sns.list_subscriptions()["Subscriptions"]
    assert listed["SubscriptionArn"].startswith(f"{topic}:")
    office.sns.publish(TopicArn=topic, Message="Zeile eins\nünïcode", Subject="Tür")
    _, heard = post.mailbox.wait_for(me, 2)
    assert (heard["Subject"], heard["Auto-Submitted"]) == ("Tür", "auto-generated")
    assert heard["From"].addresses[0].display_name == "Night wätch"
    assert text_of(heard).startswith("Zeile eins\nünïcode\n\n--\n")
    assert heard["Message-ID"].endswith("@example.com>")


def test_the_link_in_the_footer_asks_first_and_the_button_unsubscribes(office: Office, post: Post) -> None:
    topic, me = office.topic(), f"me{office.account}@example.com"
    arn = subscribed(office, post.mailbox, topic, me)
    office.sns.publish(TopicArn=topic, Message="one")
    _, heard = post.mailbox.wait_for(me, 2)
    link = link_in(text_of(heard))
    assert heard["List-Unsubscribe"] == f"<{link}>"
    assert heard["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "<button>Unsubscribe" in clicked(link)
    assert office.told(arn)["PendingConfirmation"] == "false"
    assert "Unsubscribed" in posted(link)
    office.sns.publish(TopicArn=topic, Message="unheard")
    goodbye = post.mailbox.wait_for(me, 3)[2]
    assert goodbye["Subject"] == "AWS Notification - Unsubscribe Confirmation"
    assert "<button>Subscribe" in clicked(link_in(text_of(goodbye)))
    assert office.told(arn)["PendingConfirmation"] == "true"
    assert "Subscription confirmed" in posted(link_in(text_of(goodbye)))
    office.sns.publish(TopicArn=topic, Message="back again")
    assert text_of(post.mailbox.wait_for(me, 4)[3]).startswith("back again")


def test_a_link_that_is_not_ours_does_nothing(office: Office, post: Post) -> None:
    topic, me = office.topic(), f"me{office.account}@example.com"
    arn = subscribed(office, post.mailbox, topic, me)
    base = f"{office.server.endpoint}/_tocsin/sns"
    for url in (
        f"{base}/confirmation.html?TopicArn={topic}&Token=x",
        f"{base}/?Action=ConfirmSubscription&TopicArn={topic}&Token=x",
        f"{base}/?Action=Unsubscribe&SubscriptionArn={arn}&Token=x",
        f"{base}/?Action=DeleteTopic&TopicArn={topic}",
        f"{base}/nonsense.pem",
    ):
        with pytest.raises(urllib.error.HTTPError) as raised:
            fetched(url)
        assert raised.value.code in (400, 404)
        raised.value.close()
    with pytest.raises(urllib.error.HTTPError) as raised:
        posted(f"{base}/unsubscribe.html?SubscriptionArn={arn}&Token=x")
    raised.value.close()
    assert office.told(arn)["PendingConfirmation"] == "false"


def test_email_json_is_the_signed_envelope(office: Office, post: Post) -> None:
    topic, me = office.topic(), f"me{office.account}@example.com"
    subscribed(office, post.mailbox, topic, me, "email-json")
    office.sns.publish(TopicArn=topic, Message="m" * 3000, Subject="s")
    text = text_of(post.mailbox.wait_for(me, 2)[1])
    envelope = json.loads(text.partition("\n\n--\n")[0])
    assert envelope["Message"] == "m" * 3000
    verify(envelope)


def test_an_event_is_mailed_as_a_card_to_who_asked_for_html(office: Office, post: Post) -> None:
    topic, me = office.topic(), f"me{office.account}@example.com"
    subscribed(office, post.mailbox, topic, me, MailFormat="html")
    detail = {
        "ClusterName": "train",
        "InstanceId": "i-0123456789abcdef0",
        "HealthSummary": {"HealthStatus": "Unhealthy", "HealthStatusReason": "fault type NvidiaXid79 <b>"},
    }
    event = json.dumps({"detail-type": "SageMaker HyperPod Cluster Node Health Event", "detail": detail})
    office.sns.publish(TopicArn=topic, Message=event)
    heard = post.mailbox.wait_for(me, 2)[1]
    assert "i-0123456789abcdef0" in heard["Subject"]
    assert "fault type NvidiaXid79 &lt;b&gt;" in text_of(heard, "html")
    assert text_of(heard).startswith(event)


def test_who_is_busy_is_tried_again_and_who_is_refused_is_not(office: Office, post: Post) -> None:
    topic = office.topic()
    dead_url, dead_arn = office.queue("dead")
    busy, refused = f"busy{office.account}@example.com", f"refused{office.account}@example.com"
    subscribed(office, post.mailbox, topic, busy)
    redrive = json.dumps({"deadLetterTargetArn": dead_arn})
    arn = office.sns.subscribe(
        TopicArn=topic,
        Protocol="email",
        Endpoint=refused,
        Attributes={"RedrivePolicy": redrive},
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]
    assert arn
    assert post.mailbox.tries.count(busy) == 2
    eventually(lambda: refused in post.mailbox.tries, "the refused confirmation")
    assert office.bodies(dead_url) == []  # a question that nobody can answer is no message


def test_notify_test_tells_the_mail_servers_answer(office: Office, post: Post) -> None:
    topic, me = office.topic(), f"me{office.account}@example.com"
    subscribed(office, post.mailbox, topic, me)
    where = ("--endpoint-url", office.server.endpoint, "--account", office.account)
    done = tocsin("notify", "test", "alarms", *where)
    assert done.returncode == 0
    assert f"email      {me}  delivered: 2.0.0 Ok: queued as " in done.stdout
    assert "`tocsin notify test`" in text_of(post.mailbox.wait_for(me, 2)[1])


def test_without_a_mail_server_mails_wait_and_say_why(server: RunningServer, account: str) -> None:
    office = Office(server, account)
    topic = office.topic()
    for name in ("a", "b"):
        office.sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=f"{name}@example.com")
    why = "mails wait: no mail server is configured: set mail.host"
    said = eventually(lambda: why in (text := server.errors.read_text()) and text, "the reason")
    assert said.count(why) == 1


# how the server is reached


@pytest.mark.parametrize(("tls", "login"), [("starttls", True), ("tls", True), ("tls", False), ("none", True)])
def test_mail_goes_encrypted_and_logged_in(tmp_path: Path, account: str, tls: str, login: bool) -> None:
    pair = self_signed(tmp_path)
    with smtp_server(tls, None if tls == "none" else pair, login) as mailbox:
        lines = [
            "[mail]",
            'host = "127.0.0.1"',
            f"port = {mailbox.port}",
            f'tls = "{tls}"',
            f'from_address = "{SENDER}"',
            *([f'ca_file = "{pair[0]}"'] if tls != "none" else []),
            *([f'username = "{USER}"'] if login else []),
        ]
        environment = {"TOCSIN_MAIL_PASSWORD": PASSWORD} if login else {}
        with configured(tmp_path, "\n".join(lines), environment=environment) as server:
            office = Office(server, account)
            office.sns.subscribe(TopicArn=office.topic(), Protocol="email", Endpoint="me@example.com")
            mailbox.wait_for("me@example.com")
        assert mailbox.logins == (["right"] if login else [])
