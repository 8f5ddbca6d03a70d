"""kill -9 while messages are published: what was answered reaches everybody, and a queue gets nothing twice."""

import json
import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.doors.endpoint import Endpoint, http_endpoint, status
from tests.doors.mailbox import Mailbox, smtp_server, text_of
from tests.doors.sns import Office, fetched
from tests.harness import RunningServer, eventually

ACCOUNT = "222233334444"
KILLS = 3
ME = "me@example.com"


class Town:
    """A server that is killed again and again, and who hears of it: a queue, an endpoint, a mailbox."""

    def __init__(self, folder: Path, mailbox: Mailbox, endpoint: Endpoint) -> None:
        self.mailbox, self.endpoint = mailbox, endpoint
        self._data, self._config = folder / "data", folder / "tocsin.toml"
        mail = f'[mail]\nhost = "127.0.0.1"\nport = {mailbox.port}\nfrom_address = "t@example.com"\n'
        self._config.write_text(f"{mail}[topics]\nmails_per_minute = 1000000\n")
        self.server = self._started()

    def _started(self) -> RunningServer:
        return RunningServer(self._data, "--config", str(self._config))

    @property
    def office(self) -> Office:
        return Office(self.server, ACCOUNT)

    def furnish(self) -> str:
        """The topic's ARN, once all three are subscribed and a rule sends events there."""
        office = self.office
        topic = office.topic()
        office.subscribed_queue(topic, RawMessageDelivery="true")
        office.sns.subscribe(
            TopicArn=topic,
            Protocol="http",
            Endpoint=f"{self.endpoint.url}/heard",
            Attributes={"RawMessageDelivery": "true"},
        )
        office.sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=ME)
        [asked] = self.endpoint.wait_for("/heard")
        fetched(asked.envelope["SubscribeURL"])
        [mail] = self.mailbox.wait_for(ME)
        [link] = re.findall(r"http://\S+", text_of(mail))
        fetched(link)
        office.events.put_rule(Name="r", EventPattern='{"source":["my.app"]}')
        office.events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": topic, "InputPath": "$.detail.name"}])
        return topic

    def kill(self) -> None:
        self.server.kill()
        self.server = self._started()


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with smtp_server() as mailbox, http_endpoint() as endpoint:
        made = Town(tmp_path, mailbox, endpoint)
        yield made
        made.server.stop()


def sent(office: Office, topic: str, name: str) -> None:
    """By the topic, or by the rule that sends there: every other one."""
    if int(name.partition(" ")[2]) % 2:
        office.sns.publish(TopicArn=topic, Message=name)
        return
    entry = {"Source": "my.app", "DetailType": "t", "Detail": json.dumps({"name": name})}
    assert office.events.put_events(Entries=[entry])["FailedEntryCount"] == 0


def test_what_was_answered_reaches_everybody_whenever_the_server_is_killed(town: Town) -> None:
    topic, chance = town.furnish(), random.Random(4)
    town.endpoint.plans["/heard"] = [status(503)] * 2
    answered: list[str] = []
    number = 0
    for _ in range(KILLS):
        office = town.office
        for _ in range(chance.randint(5, 25)):
            number += 1
            sent(office, topic, f"message {number}")
            answered.append(f"message {number}")
        killer = threading.Thread(target=town.server.process.kill)
        killer.start()
        for _ in range(5):  # these may be answered or not
            number += 1
            try:
                sent(office, topic, f"message {number}")
            except (BotoCoreError, ClientError):
                break
            answered.append(f"message {number}")
        killer.join()
        town.kill()
    heard_by: dict[str, Callable[[], list[str]]] = {
        "endpoint": lambda: [_name(one.body) for one in town.endpoint.at("/heard", "Notification")],
        "mailbox": lambda: [_name(text_of(one).partition("\n\n--\n")[0]) for one in town.mailbox.to(ME)],
    }
    for who, heard in heard_by.items():
        eventually(lambda heard=heard: set(answered) <= set(heard()), f"the {who} hears all")  # type: ignore[misc]
    queued: Counter[str] = Counter()
    url = town.office.queue()[0]

    def all_queued() -> bool:
        queued.update(map(_name, town.office.bodies(url)))
        return set(answered) <= set(queued)

    eventually(all_queued, "the queue hears all")
    while found := town.office.bodies(url):
        queued.update(map(_name, found))
    assert set(queued.values()) == {1}


def _name(text: str) -> str:
    """The message as it was sent: a rule's InputPath gives it as JSON."""
    loaded: Any = text
    if text.startswith('"'):
        loaded = json.loads(text)
    return str(loaded)
