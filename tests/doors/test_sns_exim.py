"""Mail through Exim, the mail server Debian installs: encrypted, logged in, into a maildir, and refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doors.asking import configured, tocsin
from tests.doors.exim import EXIM, Exim, exim
from tests.doors.mailbox import PASSWORD, USER, text_of
from tests.doors.sns import Office
from tests.doors.test_sns_mail import SENDER, clicked, link_in, posted
from tests.harness import RunningServer, eventually

pytestmark = pytest.mark.skipif(EXIM is None, reason="no Exim (Debian: apt-get install exim4-daemon-light)")


@pytest.fixture(scope="module")
def mail() -> Iterator[Exim]:
    with exim() as running:
        yield running


@pytest.fixture(scope="module")
def night(mail: Exim, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that mails through it."""
    toml = f"""
[mail]
host = "127.0.0.1"
port = {mail.port}
tls = "starttls"
ca_file = "{mail.folder / "cert.pem"}"
username = "{USER}"
from_address = "{SENDER}"
"""
    folder: Path = tmp_path_factory.mktemp("exim")
    with configured(folder, toml, environment={"TOCSIN_MAIL_PASSWORD": PASSWORD}) as server:
        yield server


@pytest.fixture
def office(night: RunningServer, account: str) -> Office:
    return Office(night, account)


def test_exim_delivers_what_was_published_unharmed_and_its_links_work(office: Office, mail: Exim) -> None:
    topic, me = office.topic(DisplayName="Night wätch"), f"me{office.account}@example.com"
    office.sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=me)
    [asked] = mail.wait_for(me)
    assert "Subscription confirmed" in clicked(link_in(text_of(asked)))
    said = f"Zeile eins\n.\n..two dots\n{'long ' * 1000}\nünïcode ☎"
    office.sns.publish(TopicArn=topic, Subject="Tür", Message=said)
    heard = mail.wait_for(me, 2)[1]
    assert heard["Subject"] == "Tür"
    assert heard["From"].addresses[0].display_name == "Night wätch"
    assert text_of(heard).startswith(f"{said}\n\n--\n")
    assert "esmtpsa" in heard["Received"]  # encrypted and logged in
    assert "Unsubscribed" in posted(heard["List-Unsubscribe"].strip("<>"))
    assert mail.wait_for(me, 3)[2]["Subject"] == "AWS Notification - Unsubscribe Confirmation"


def test_notify_test_tells_exims_own_answer(office: Office, mail: Exim) -> None:
    topic, me = office.topic(), f"me{office.account}@example.com"
    office.sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=me)
    clicked(link_in(text_of(mail.wait_for(me)[0])))
    done = tocsin("notify", "test", "alarms", "--endpoint-url", office.server.endpoint, "--account", office.account)
    assert (done.returncode, f"email      {me}  delivered: OK id=" in done.stdout) == (0, True), done


def test_what_exim_refuses_is_given_up_and_what_it_defers_waits(office: Office, mail: Exim) -> None:
    topic = office.topic()
    for name in ("refused", "busy"):
        office.sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=f"{name}@example.com")
    eventually(lambda: "<refused@example.com>: nobody here" in mail.log(), "a refusal")
    eventually(lambda: "<busy@example.com>: come back later" in mail.log(), "a deferral")
    told = eventually(lambda: "550 nobody here" in (text := office.server.errors.read_text()) and text, "the refusal")
    assert "come back later" not in told
