"""Cloud Control as a client has it, and per type of resource something to send it."""

import json
from typing import Any

from tests.harness import RunningServer, eventually

ROLE = "arn:aws:iam::111122223333:role/hyperpod"
DONE = ("SUCCESS", "FAILED", "CANCEL_COMPLETE")


class Cloud:
    """Cloud Control of one account on one server."""

    def __init__(self, server: RunningServer, account: str) -> None:
        self.server, self.account = server, account
        self.api = server.client("cloudcontrol", account)

    def client(self, service: str) -> Any:
        return self.server.client(service, self.account)

    def ended(self, event: dict[str, Any]) -> dict[str, Any]:
        """The request's last event, as a client polls for it."""

        def over() -> dict[str, Any] | None:
            seen = self.api.get_resource_request_status(RequestToken=event["RequestToken"])["ProgressEvent"]
            return seen if seen["OperationStatus"] in DONE else None

        found: dict[str, Any] = eventually(over, "the request is over")
        return found

    def create(self, type_name: str, **desired: Any) -> dict[str, Any]:
        made = self.api.create_resource(TypeName=type_name, DesiredState=json.dumps(desired))
        return self.ended(made["ProgressEvent"])

    def made(self, type_name: str, **desired: Any) -> str:
        event = self.create(type_name, **desired)
        assert event["OperationStatus"] == "SUCCESS", event
        return str(event["Identifier"])

    def update(self, type_name: str, identifier: str, *operations: dict[str, Any]) -> dict[str, Any]:
        changed = self.api.update_resource(
            TypeName=type_name, Identifier=identifier, PatchDocument=json.dumps(operations)
        )
        return self.ended(changed["ProgressEvent"])

    def delete(self, type_name: str, identifier: str) -> dict[str, Any]:
        return self.ended(self.api.delete_resource(TypeName=type_name, Identifier=identifier)["ProgressEvent"])

    def get(self, type_name: str, identifier: str) -> dict[str, Any]:
        description = self.api.get_resource(TypeName=type_name, Identifier=identifier)["ResourceDescription"]
        found: dict[str, Any] = json.loads(description["Properties"])
        return found

    def listed(self, type_name: str) -> list[str]:
        return [one["Identifier"] for one in self.api.list_resources(TypeName=type_name)["ResourceDescriptions"]]


def patch(op: str, path: str, *value: Any) -> dict[str, Any]:
    return {"op": op, "path": path, **({"value": value[0]} if value else {})}


def group(name: str, count: int, **more: Any) -> dict[str, Any]:
    return {
        "InstanceGroupName": name,
        "InstanceCount": count,
        "InstanceType": "ml.t3.medium",
        "ExecutionRole": ROLE,
        **more,
    }


# Per type: what is sent, what may be read beside it, a patch and what it makes of the model.
Case = tuple[str, dict[str, Any], set[str], list[dict[str, Any]], dict[str, Any]]

STATEMENT = {
    "Sid": "all",
    "Effect": "Allow",
    "Principal": "*",
    "Action": "events:PutEvents",
    "Resource": "arn:aws:events:us-west-2:{account}:event-bus/orders",
}
CASES: list[Case] = [
    (
        "AWS::Logs::LogGroup",
        {"LogGroupName": "/g", "RetentionInDays": 7, "Tags": [{"Key": "b", "Value": "1"}, {"Key": "a", "Value": "2"}]},
        {"Arn"},
        [patch("replace", "/RetentionInDays", 14), patch("remove", "/Tags/0")],
        {"RetentionInDays": 14, "Tags": [{"Key": "a", "Value": "2"}]},
    ),
    (
        "AWS::Events::EventBus",
        {"Name": "orders", "Description": "of orders", "Policy": {"Version": "2012-10-17", "Statement": [STATEMENT]}},
        {"Arn"},
        [patch("remove", "/Description"), patch("add", "/Tags", [{"Key": "k", "Value": "v"}])],
        {"Description": None, "Tags": [{"Key": "k", "Value": "v"}]},
    ),
    (
        "AWS::Events::Rule",
        {
            "Name": "r",
            "EventPattern": {"source": ["aws.sagemaker"]},
            "Targets": [
                {"Id": "z", "Arn": "arn:aws:logs:us-west-2:{account}:log-group:/z"},
                {"Id": "a", "Arn": "arn:aws:logs:us-west-2:{account}:log-group:/a", "Input": '"x"'},
            ],
        },
        {"Arn"},
        [
            patch("replace", "/EventPattern/source/0", "mine"),
            patch("add", "/State", "DISABLED"),
            patch("remove", "/Targets/1"),
        ],
        {
            "EventPattern": {"source": ["mine"]},
            "State": "DISABLED",
            "Targets": [{"Id": "z", "Arn": "arn:aws:logs:us-west-2:{account}:log-group:/z"}],
        },
    ),
    (
        "AWS::SNS::Topic",
        {
            "TopicName": "t",
            "DisplayName": "Alarm",
            "Subscription": [{"Protocol": "email", "Endpoint": "a@example.com"}],
            "DeliveryStatusLogging": [{"Protocol": "sqs", "SuccessFeedbackSampleRate": "100"}],
        },
        {"TopicArn"},
        [patch("replace", "/DisplayName", "Other"), patch("add", "/TracingConfig", "Active")],
        {"DisplayName": "Other", "TracingConfig": "Active"},
    ),
    (
        "AWS::SQS::Queue",
        {"QueueName": "q", "VisibilityTimeout": 60, "RedriveAllowPolicy": {"redrivePermission": "denyAll"}},
        {"Arn", "QueueUrl"},
        [patch("remove", "/VisibilityTimeout"), patch("add", "/DelaySeconds", 5)],
        {"VisibilityTimeout": None, "DelaySeconds": 5},
    ),
]


def filled(value: Any, account: str) -> Any:
    return json.loads(json.dumps(value).replace("{account}", account))
