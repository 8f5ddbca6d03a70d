"""An account with one rule, whose targets the test sets: queues here, or a peer outside."""

from typing import Any

from tests.harness import REGION, RunningServer, eventually
from tests.peer import HttpPeer

PATTERN = '{"source":["my.app"]}'
API_KEY = {"ApiKeyAuthParameters": {"ApiKeyName": "X-Key", "ApiKeyValue": "key-value"}}


class Aim:
    """The clients of one account, and one rule whose targets the test sets."""

    def __init__(self, server: RunningServer, account: str) -> None:
        self.server, self.account = server, account
        self.events, self.logs, self.sqs = (server.client(name, account) for name in ("events", "logs", "sqs"))
        self.events.put_rule(Name="rule", EventPattern=PATTERN)

    def queue(self, name: str, **attributes: str) -> tuple[str, str]:
        """URL and ARN of a new queue."""
        url = self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        return url, f"arn:aws:sqs:{REGION}:{self.account}:{name}"

    def target(self, arn: str, rule: str = "rule", **more: Any) -> None:
        self.events.put_targets(Rule=rule, Targets=[{"Id": "1", "Arn": arn, **more}])

    def put(self, detail: str = "{}") -> str:
        entry = {"Source": "my.app", "DetailType": "thing", "Detail": detail}
        event_id: str = self.events.put_events(Entries=[entry])["Entries"][0]["EventId"]
        return event_id

    def received(self, url: str) -> Any:
        """The next message of the queue, taken off it."""
        asked = {"MessageAttributeNames": ["All"], "AttributeNames": ["All"], "WaitTimeSeconds": 20}
        [message] = eventually(lambda: self.sqs.receive_message(QueueUrl=url, **asked).get("Messages"), "a message")
        self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return message


class Outside(Aim):
    """The clients, the peer, and a rule that sends to it."""

    def __init__(self, server: RunningServer, account: str, peer: HttpPeer) -> None:
        super().__init__(server, account)
        self.peer = peer

    def connect(self, name: str = "c", kind: str = "API_KEY", parameters: Any = API_KEY) -> str:
        made = self.events.create_connection(Name=name, AuthorizationType=kind, AuthParameters=parameters)
        arn: str = made["ConnectionArn"]
        return arn

    def destine(self, path: str = "/hook", name: str = "d", connection: str = "", **more: Any) -> str:
        made = self.events.create_api_destination(
            Name=name,
            ConnectionArn=connection or self.connect(),
            InvocationEndpoint=self.peer.url + path,
            HttpMethod=more.pop("HttpMethod", "POST"),
            **more,
        )
        arn: str = made["ApiDestinationArn"]
        return arn

    def state(self, name: str = "c") -> str:
        state: str = self.events.describe_connection(Name=name)["ConnectionState"]
        return state
