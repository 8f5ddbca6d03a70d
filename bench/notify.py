"""From a node's fault to the mail accepted by a mail server and to the card posted in Slack. `python -m bench.notify`.

Rule → topic → mail and chat, over real SMTP and HTTP; every hop commits before it answers. The fault is a published
health event; they are paced, so that neither the chat's second a post nor the mails' limit a minute is measured.
"""

import contextlib
import json
import re
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from tests.harness import REGION, RunningServer, eventually

from bench.load import percentile
from tocsin.cli.demo_guests import MailServer, SlackRoom, guests
from tocsin.cli.demo_told import settings_file

FAULTS = 40
PAUSE_S = 1.05  # Slack takes one post a second
ACCOUNT = "111122223333"
HEALTH = "SageMaker HyperPod Cluster Node Health Event"


@contextlib.contextmanager
def told() -> Iterator[tuple[RunningServer, MailServer, SlackRoom]]:
    """A server with a rule to a topic that a mailbox and a channel hear."""
    with tempfile.TemporaryDirectory() as folder, guests() as (mail, slack):
        config = settings_file(Path(folder), mail, slack)
        with config.open("a") as file:
            file.write(f"\n[topics]\nmails_per_minute = {FAULTS * 2}\n[chat]\nposts_per_minute = {FAULTS * 2}\n")
        server = RunningServer(Path(folder) / "data", "--config", str(config))
        try:
            _route(server, mail)
            yield server, mail, slack
        finally:
            server.stop()


def _route(server: RunningServer, mail: MailServer) -> None:
    sns, events = server.client("sns"), server.client("events")
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="operator@bench.example")
    link = re.search(r"https?://\S+", _text(mail.mails.get(timeout=20)))
    assert link is not None
    urllib.request.urlopen(link[0], timeout=20).close()
    server.client("chatbot").create_slack_channel_configuration(
        ConfigurationName="demo-room",
        SlackTeamId="T0",
        SlackChannelId="C0",
        IamRoleArn=f"arn:aws:iam::{ACCOUNT}:role/chat",
        SnsTopicArns=[topic],
    )
    events.put_rule(Name="sick", EventPattern=json.dumps({"detail-type": [HEALTH]}))
    assert not events.put_targets(Rule="sick", Targets=[{"Id": "topic", "Arn": topic}])["FailedEntryCount"]


def _text(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    return "" if part is None else str(part.get_content())


class Arrivals(threading.Thread):
    """Notes when each fault arrived, as soon as it does."""

    def __init__(self, take: Callable[[], str]) -> None:
        super().__init__(daemon=True)
        self.at: dict[str, float] = {}
        self._take = take

    def run(self) -> None:
        while True:
            text = self._take()
            now = time.perf_counter()
            for instance in re.findall(r"i-bench-\d+", text)[:1]:
                self.at.setdefault(instance, now)


def fault(instance: str) -> dict[str, Any]:
    summary = {
        "HealthStatus": "Unhealthy",
        "HealthStatusReason": "fault type NvidiaErrorReboot",
        "RepairAction": "Reboot",
        "Recommendation": "Wait.",
    }
    return {"ClusterName": "bench", "ClusterArn": "arn:bench", "InstanceId": instance, "HealthSummary": summary}


def main() -> None:
    faults = int(sys.argv[1]) if len(sys.argv) > 1 else FAULTS
    with told() as (server, mail, slack):
        events = server.client("events")
        mails = Arrivals(lambda: _text(mail.mails.get()))
        cards = Arrivals(lambda: json.dumps(slack.cards.get()))
        mails.start()
        cards.start()
        began: dict[str, float] = {}
        for number in range(faults):
            instance = f"i-bench-{number}"
            began[instance] = time.perf_counter()
            entry = {"Source": "bench", "DetailType": HEALTH, "Detail": json.dumps(fault(instance))}
            events.put_events(Entries=[entry])
            time.sleep(PAUSE_S)
        eventually(lambda: len(mails.at) == len(cards.at) == faults, "all mails and cards")
    print(f"fault to, of {faults} faults {PAUSE_S:g} s apart, in {REGION}:")
    for title, arrivals in (("mail accepted", mails), ("card posted", cards)):
        delays = sorted(arrivals.at[instance] - began[instance] for instance in began)
        p50, p99 = (percentile(delays, at) * 1e3 for at in (0.5, 0.99))
        print(f"  {title:14} p50 {p50:6.1f} ms   p99 {p99:6.1f} ms   worst {delays[-1] * 1e3:6.1f} ms")


if __name__ == "__main__":
    main()
