"""From an event of a node's fault to the mail accepted, the card posted, the post answered. `python -m bench.notify`.

Rule, topic and three who hear it, all on this machine; from putting the event on, one after the other, and then many at
once. What finds a fault is measured in bench.recovery.
"""

import json
import re
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests.doors.endpoint import Endpoint, body, http_endpoint
from tests.doors.mailbox import Mailbox, smtp_server, text_of
from tests.doors.sns import Office, fetched
from tests.harness import RunningServer, eventually

SINGLE, BURST = 30, 1_000
PAUSE_S = 1.1  # Slack takes a message a second of a channel, and no faster do we post
ACCOUNT = "111122223333"
ME = "me@example.com"
EVENT = {
    "source": "aws.sagemaker",
    "detail-type": "SageMaker HyperPod Cluster Node Health Event",
    "detail": {
        "ClusterName": "train",
        "ClusterArn": "arn:aws:sagemaker:us-west-2:111122223333:cluster/abcdefghijkl",
        "InstanceId": "i-0123456789abcdef0",
        "HealthSummary": {"HealthStatus": "Unhealthy", "HealthStatusReason": "fault type NvidiaXid79"},
    },
}


def settings(mailbox: Mailbox, endpoint: Endpoint) -> str:
    return (
        f'[mail]\nhost = "127.0.0.1"\nport = {mailbox.port}\nfrom_address = "t@example.com"\n'
        "[topics]\nmails_per_minute = 1000000\n"
        f'[chat.channels.ops]\nwebhook = "{endpoint.url}/slack"\n'
    )


def furnish(server: RunningServer, mailbox: Mailbox, endpoint: Endpoint) -> None:
    office = Office(server, ACCOUNT)
    topic = office.topic()
    office.sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=f"{endpoint.url}/hook")
    office.sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=ME, Attributes={"MailFormat": "html"})
    fetched(endpoint.wait_for("/hook")[0].envelope["SubscribeURL"])
    [link] = re.findall(r"http://\S+", text_of(mailbox.wait_for(ME)[0]))
    fetched(link)
    server.client("chatbot", ACCOUNT).create_slack_channel_configuration(
        SlackTeamId="T1",
        SlackChannelId="C1",
        IamRoleArn=f"arn:aws:iam::{ACCOUNT}:role/chat",
        ConfigurationName="ops",
        SnsTopicArns=[topic],
    )
    office.events.put_rule(Name="faults", EventPattern=json.dumps({"source": ["aws.sagemaker"]}))
    office.events.put_targets(Rule="faults", Targets=[{"Id": "1", "Arn": topic}])


def put(server: RunningServer, number: int) -> None:
    content = json.dumps({"events": [EVENT] * number}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{server.endpoint}/_tocsin/v1/events", content, headers)
    with urllib.request.urlopen(request) as answer:
        answer.read()


def main() -> None:
    with smtp_server() as mailbox, http_endpoint() as endpoint, tempfile.TemporaryDirectory() as folder:
        endpoint.plans["/slack"] = [body("ok")] * (SINGLE + BURST)
        config = Path(folder) / "tocsin.toml"
        config.write_text(settings(mailbox, endpoint))
        server = RunningServer(Path(folder) / "data", "--config", str(config))
        furnish(server, mailbox, endpoint)
        heard: dict[str, Callable[[], list[float]]] = {
            "mail accepted": lambda: mailbox.accepted_s[1:],
            "card posted": lambda: [one.at_s for one in endpoint.at("/slack")],
            "post answered": lambda: [one.at_s for one in endpoint.at("/hook", "Notification")],
        }
        took: dict[str, list[float]] = {name: [] for name in heard}
        for number in range(1, SINGLE + 1):
            time.sleep(PAUSE_S)
            began = time.perf_counter()
            put(server, 1)
            for name, times in heard.items():
                eventually(lambda n=number, times=times: len(times()) >= n, name, every_s=0.002)  # type: ignore[misc]
                took[name].append(times()[number - 1] - began)
        print(f"{f'{SINGLE} events, {PAUSE_S} s apart':40} p50 ms   worst")
        for name, seconds in took.items():
            print(f"  {name:38} {statistics.median(seconds) * 1e3:6.1f}   {max(seconds) * 1e3:6.1f}")
        began = time.perf_counter()
        for _ in range(BURST // 100):
            put(server, 100)
        del heard["card posted"]
        print(f"{BURST} events at once: all heard after")
        for name, times in heard.items():
            eventually(lambda times=times: len(times()) >= SINGLE + BURST, name, timeout_s=300, every_s=0.05)  # type: ignore[misc]
            print(f"  {name:38} {max(times()) - began:6.1f} s")
        server.stop()


if __name__ == "__main__":
    main()
