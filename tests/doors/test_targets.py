"""Targets beside log groups: queues, other buses, and the dead-letter queue of what can go nowhere."""

import json
from typing import Any

import pytest

from tests.doors.aims import Aim
from tests.doors.asking import log_lines, refusal, tocsin
from tests.harness import REGION, RunningServer, eventually

PATTERN = '{"source":["my.app"]}'


@pytest.fixture
def aim(server: RunningServer, account: str) -> Aim:
    return Aim(server, account)


def test_an_event_reaches_a_queue_as_its_message(aim: Aim) -> None:
    url, arn = aim.queue("q")
    aim.target(arn)
    event_id = aim.put('{"n": 12345678901234567890}')
    body = aim.received(url)["Body"]
    assert json.loads(body)["id"] == event_id
    assert '"detail":{"n":12345678901234567890}' in body


def test_a_queue_is_sent_what_the_target_asks_for(aim: Aim) -> None:
    url, arn = aim.queue("q")
    aim.target(arn, InputTransformer={"InputPathsMap": {"n": "$.detail.n"}, "InputTemplate": '"n is <n>"'})
    aim.put('{"n": 7}')
    assert aim.received(url)["Body"] == '"n is 7"'


def test_a_fifo_queue_keeps_the_order_of_the_group_that_the_target_names(aim: Aim) -> None:
    url, arn = aim.queue("q.fifo", FifoQueue="true")
    said = "Parameter(s) SqsParameters must be specified for target: 1."
    refused = refusal(aim.events.put_targets, Rule="rule", Targets=[{"Id": "1", "Arn": arn}])
    assert refused == ("ValidationException", said, 400)
    aim.target(arn, SqsParameters={"MessageGroupId": "nodes"})
    for number in range(3):
        aim.put(json.dumps({"n": number}))
    taken = [aim.received(url) for _ in range(3)]
    assert [json.loads(one["Body"])["detail"]["n"] for one in taken] == [0, 1, 2]
    assert {one["Attributes"]["MessageGroupId"] for one in taken} == {"nodes"}


def test_what_has_nowhere_to_go_ends_in_the_dead_letter_queue_with_the_reason(aim: Aim) -> None:
    url, dead_letters = aim.queue("dead")
    gone = f"arn:aws:logs:{REGION}:{aim.account}:log-group:/gone"
    aim.target(gone, DeadLetterConfig={"Arn": dead_letters})
    event_id = aim.put()
    message = aim.received(url)
    assert json.loads(message["Body"])["id"] == event_id
    assert {name: one["StringValue"] for name, one in message["MessageAttributes"].items()} == {
        "RULE_ARN": f"arn:aws:events:{REGION}:{aim.account}:rule/rule",
        "TARGET_ARN": gone,
        "ERROR_CODE": "NO_RESOURCE",
        "ERROR_MESSAGE": "The log group /gone does not exist.",
        "RETRY_ATTEMPTS": "0",
    }


def test_the_dead_letter_is_the_event_not_what_the_template_made_of_it(aim: Aim) -> None:
    url, dead_letters = aim.queue("dead")
    _, arn = aim.queue("q")
    broken = {"InputPathsMap": {"d": "$.detail"}, "InputTemplate": '{"d": "<d>"}'}
    aim.target(arn, InputTransformer=broken, DeadLetterConfig={"Arn": dead_letters})
    event_id = aim.put('{"a": "b"}')
    message = aim.received(url)
    assert json.loads(message["Body"])["id"] == event_id
    assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "INVALID_PARAMETER"


def test_a_dead_letter_queue_is_a_standard_queue(aim: Aim) -> None:
    for arn in (f"arn:aws:sqs:{REGION}:{aim.account}:q.fifo", f"arn:aws:sns:{REGION}:{aim.account}:topic"):
        target = {"Id": "1", "Arn": f"arn:aws:sqs:{REGION}:{aim.account}:q", "DeadLetterConfig": {"Arn": arn}}
        refused = refusal(aim.events.put_targets, Rule="rule", Targets=[target])
        assert (refused.code, refused.status) == ("ValidationException", 400)


def test_a_fifo_topic_is_no_target_and_the_refusal_says_so(aim: Aim) -> None:
    arn = aim.server.client("sns", aim.account).create_topic(Name="t.fifo", Attributes={"FifoTopic": "true"})[
        "TopicArn"
    ]
    refused = refusal(aim.events.put_targets, Rule="rule", Targets=[{"Id": "1", "Arn": arn}])
    assert (refused.code, refused.status) == ("ValidationException", 400)
    assert "SNS FIFO topics are not supported as targets of rules" in refused.message


def _route_on(aim: Aim, bus: str, group: str) -> str:
    """A bus with a rule that delivers to a log group; the bus's ARN."""
    aim.logs.create_log_group(logGroupName=group)
    arn: str = aim.events.create_event_bus(Name=bus)["EventBusArn"]
    aim.events.put_rule(Name="there", EventPattern=PATTERN, EventBusName=bus)
    target = {"Id": "1", "Arn": f"arn:aws:logs:{REGION}:{aim.account}:log-group:{group}"}
    aim.events.put_targets(Rule="there", EventBusName=bus, Targets=[target])
    return arn


def test_an_event_goes_on_to_another_bus_under_its_own_id(aim: Aim) -> None:
    aim.target(_route_on(aim, "next", "/there"))
    event_id = aim.put()
    [line] = eventually(lambda: log_lines(aim.server, aim.account, "/there", REGION), "the line")
    assert json.loads(line)["id"] == event_id


def test_events_sent_in_a_circle_come_to_an_end(aim: Aim) -> None:
    aim.target(_route_on(aim, "next", "/there"))
    aim.events.put_rule(Name="back", EventPattern=PATTERN, EventBusName="next")
    default = f"arn:aws:events:{REGION}:{aim.account}:event-bus/default"
    aim.events.put_targets(Rule="back", EventBusName="next", Targets=[{"Id": "1", "Arn": default}])
    first = aim.put()
    second = aim.put()
    lines = eventually(
        lambda: len(found := log_lines(aim.server, aim.account, "/there", REGION)) >= 2 and found, "both lines"
    )
    assert [json.loads(line)["id"] for line in lines] == [first, second], "each once"


FOREIGN = "arn:aws:events:{}:{}:event-bus/hub"


def _hub(aim: Aim, account: str, region: str = REGION) -> tuple[Any, Any, str]:
    """A bus in another account or region, whose rule writes all to the log group /hub; the clients there, its ARN."""
    events, logs = (aim.server.client(name, account, region) for name in ("events", "logs"))
    events.create_event_bus(Name="hub")
    logs.create_log_group(logGroupName="/hub")
    events.put_rule(Name="all", EventBusName="hub", EventPattern=PATTERN)
    group = f"arn:aws:logs:{region}:{account}:log-group:/hub"
    events.put_targets(Rule="all", EventBusName="hub", Targets=[{"Id": "log", "Arn": group}])
    return events, logs, FOREIGN.format(region, account)


def _lines(aim: Aim, account: str, region: str = REGION) -> list[Any]:
    found = eventually(lambda: log_lines(aim.server, account, "/hub", region), "a line at the hub")
    return [json.loads(line) for line in found]


def test_a_bus_of_another_account_takes_what_its_policy_lets_in(aim: Aim) -> None:
    hub = f"9{aim.account[1:]}"
    events, _, arn = _hub(aim, hub)
    url, dead = aim.queue("dead")
    aim.target(arn, DeadLetterConfig={"Arn": dead})
    aim.put()
    told = {name: one["StringValue"] for name, one in aim.received(url)["MessageAttributes"].items()}
    assert (told["ERROR_CODE"], told["RETRY_ATTEMPTS"], told["TARGET_ARN"]) == ("NO_PERMISSIONS", "0", arn)
    where = ("--endpoint-url", aim.server.endpoint, "--account", aim.account, "--region", REGION)
    why = tocsin("rule", "explain", "rule", *where).stdout
    assert f"does not let account {aim.account} put events: deliveries go to {dead}" in why
    assert f"put-permission --event-bus-name hub --statement-id from-{aim.account}" in why
    events.put_permission(EventBusName="hub", StatementId="s", Action="events:PutEvents", Principal=aim.account)
    event_id = aim.put()
    [line] = _lines(aim, hub)
    assert (line["id"], line["account"], line["region"]) == (event_id, aim.account, REGION)
    events.remove_permission(EventBusName="hub", StatementId="s")
    aim.put()
    assert aim.received(url)["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"


def test_in_another_region_an_event_has_an_id_of_its_own_and_is_not_sent_on_to_a_third(aim: Aim) -> None:
    events, _, arn = _hub(aim, aim.account, "eu-west-1")
    aim.target(arn)
    queue = aim.server.client("sqs", aim.account, "eu-west-1")
    url = queue.create_queue(QueueName="dead")["QueueUrl"]
    back = {
        "Id": "back",
        "Arn": f"arn:aws:events:{REGION}:{aim.account}:event-bus/default",
        "DeadLetterConfig": {"Arn": f"arn:aws:sqs:eu-west-1:{aim.account}:dead"},
    }
    events.put_targets(Rule="all", EventBusName="hub", Targets=[back])
    event_id = aim.put('{"id":"x","n":1.50}')
    [line] = _lines(aim, aim.account, "eu-west-1")
    assert line["id"] != event_id
    assert (line["account"], line["region"], line["detail"]) == (aim.account, REGION, {"id": "x", "n": 1.5})
    asked = {"MessageAttributeNames": ["All"], "WaitTimeSeconds": 20}
    [letter] = eventually(lambda: queue.receive_message(QueueUrl=url, **asked).get("Messages"), "a letter")
    assert letter["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "INVALID_PARAMETER"
    assert json.loads(letter["Body"])["id"] == line["id"]


def test_events_are_put_on_a_bus_of_another_account_as_its_policy_lets(aim: Aim) -> None:
    hub = f"8{aim.account[1:]}"
    events, _, arn = _hub(aim, hub)
    entry = {"Source": "my.app", "DetailType": "thing", "Detail": "{}"}

    def put(bus: str) -> Any:
        return aim.events.put_events(Entries=[entry | {"EventBusName": bus}, entry])

    for bus in (arn, f"{arn}-that-is-not-there"):
        answer = put(bus)
        assert (answer["FailedEntryCount"], answer["Entries"][0]["ErrorCode"]) == (1, "AccessDeniedException")
        assert f"on resource: {bus}" in answer["Entries"][0]["ErrorMessage"]
    events.put_permission(EventBusName="hub", StatementId="s", Action="events:PutEvents", Principal="*")
    answer = put(arn)
    assert answer["FailedEntryCount"] == 0
    [line] = _lines(aim, hub)
    assert (line["id"], line["account"]) == (answer["Entries"][0]["EventId"], aim.account)


def test_a_detail_type_has_at_most_128_characters(aim: Aim) -> None:
    entries = [{"Source": "my.app", "DetailType": "é" * number, "Detail": "{}"} for number in (128, 129)]
    taken, refused = aim.events.put_events(Entries=entries)["Entries"]
    assert "EventId" in taken
    assert refused["ErrorCode"] == "InvalidArgument"
    assert refused["ErrorMessage"].startswith("Parameter DetailType is not valid. Reason: ")
