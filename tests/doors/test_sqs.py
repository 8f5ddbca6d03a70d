"""SQS over the wire: boto3 and the AWS CLI as they are, older clients' forms, and the refusals in AWS's words."""

import json
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.doors.asking import Answer, ask, configured, connect, members, refusal
from tests.doors.shell import Shell
from tests.harness import REGION, WAIT_S, RunningServer, eventually

NO_QUEUE = ("AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.", 400)


def signed(account: str) -> dict[str, str]:
    """Signature headers that say who asks; a server without keys checks no more."""
    credential = f"Credential={account}/20260101/{REGION}/sqs/aws4_request"
    authorization = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host;x-amz-date, Signature={'0' * 64}"
    return {"Authorization": authorization, "X_Amz_Date": "20260101T000000Z"}


class Desk:
    def __init__(self, server: RunningServer, account: str) -> None:
        self.server, self.account = server, account
        self.sqs = server.client("sqs", account)

    def queue(self, name: str = "q", **attributes: str) -> str:
        return str(self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])

    def send(self, url: str, body: str = "a", **more: Any) -> Any:
        return self.sqs.send_message(QueueUrl=url, MessageBody=body, **more)

    def receive(self, url: str, **more: Any) -> list[Any]:
        found: list[Any] = self.sqs.receive_message(QueueUrl=url, **{"MaxNumberOfMessages": 10, **more}).get(
            "Messages", []
        )
        return found

    def attributes(self, url: str, *names: str) -> dict[str, str]:
        found: dict[str, str] = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names or ["All"])).get(
            "Attributes", {}
        )
        return found

    def arn(self, name: str) -> str:
        return f"arn:aws:sqs:{REGION}:{self.account}:{name}"

    def form(self, path: str = "/", **fields: str) -> Answer:
        body = urllib.parse.urlencode({"Version": "2012-11-05", **fields}).encode()
        with connect(self.server) as connection:
            return ask(
                connection,
                "POST",
                path,
                body,
                Content_Type="application/x-www-form-urlencoded; charset=utf-8",
                **signed(self.account),
            )


@pytest.fixture
def desk(server: RunningServer, account: str) -> Desk:
    return Desk(server, account)


# queues


def test_a_queue_is_made_once_and_found_again(desk: Desk) -> None:
    url = desk.queue("q", VisibilityTimeout="5")
    assert url == f"{desk.server.endpoint}/{desk.account}/q"
    assert desk.queue("q", VisibilityTimeout="5") == url == desk.queue("q")
    assert desk.sqs.get_queue_url(QueueName="q")["QueueUrl"] == url
    assert refusal(desk.sqs.create_queue, QueueName="q", Attributes={"VisibilityTimeout": "6"}) == (
        "QueueAlreadyExists",
        "A queue already exists with the same name and a different value for attribute VisibilityTimeout",
        400,
    )
    desk.sqs.delete_queue(QueueUrl=url)
    assert refusal(desk.sqs.get_queue_url, QueueName="q") == NO_QUEUE
    assert refusal(desk.sqs.delete_queue, QueueUrl=url) == NO_QUEUE


def test_queues_are_listed_by_prefix_and_in_pages(desk: Desk) -> None:
    assert "QueueUrls" not in desk.sqs.list_queues()
    urls = [desk.queue(f"a{n}") for n in range(5)]
    other = desk.queue("b")
    assert desk.sqs.list_queues()["QueueUrls"] == [*urls, other]
    pages = desk.sqs.get_paginator("list_queues").paginate(QueueNamePrefix="a", PaginationConfig={"PageSize": 2})
    assert [page["QueueUrls"] for page in pages] == [urls[:2], urls[2:4], urls[4:]]
    assert refusal(desk.sqs.list_queues, NextToken="x").code == "InvalidParameterValue"
    assert refusal(desk.sqs.list_queues, MaxResults=1001).code == "InvalidParameterValue"


def test_attributes_are_told_and_set(desk: Desk) -> None:
    url = desk.queue()
    found = desk.attributes(url)
    assert found["QueueArn"] == desk.arn("q")
    assert (found["VisibilityTimeout"], found["MaximumMessageSize"]) == ("30", "1048576")
    assert found["ApproximateNumberOfMessages"] == "0"
    desk.sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "9", "Policy": '{"Version":"2012-10-17"}'})
    assert desk.attributes(url, "DelaySeconds") == {"DelaySeconds": "9"}
    desk.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    assert desk.attributes(url, "Policy") == {}
    assert desk.sqs.get_queue_attributes(QueueUrl=url).get("Attributes") is None


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({"VisibilityTimeout": "43201"}, "InvalidAttributeValue"),
        ({"Nonsense": "1"}, "InvalidAttributeName"),
        ({"QueueArn": "1"}, "InvalidAttributeName"),
        ({"ContentBasedDeduplication": "true"}, "InvalidAttributeName"),
        ({"RedrivePolicy": "{}"}, "InvalidParameterValue"),
        (
            {"RedrivePolicy": json.dumps({"deadLetterTargetArn": "arn:aws:sqs:us-west-2:1:q", "maxReceiveCount": 1})},
            "InvalidParameterValue",
        ),
    ],
)
def test_attributes_that_may_not_be(desk: Desk, attributes: dict[str, str], code: str) -> None:
    url = desk.queue()
    assert refusal(desk.sqs.set_queue_attributes, QueueUrl=url, Attributes=attributes).code == code
    assert refusal(desk.sqs.create_queue, QueueName="new", Attributes=attributes).code == code
    assert desk.sqs.list_queues()["QueueUrls"] == [url]


def test_unknown_names_and_queues_are_refused(desk: Desk) -> None:
    url = desk.queue()
    nowhere = f"{desk.server.endpoint}/{desk.account}/nowhere"
    assert refusal(desk.sqs.create_queue, QueueName="a b").code == "InvalidParameterValue"
    unknown = refusal(desk.sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["Nonsense"])
    assert unknown[:2] == ("InvalidAttributeName", "Unknown Attribute Nonsense.")
    assert refusal(desk.sqs.send_message, QueueUrl=nowhere, MessageBody="a") == NO_QUEUE
    assert refusal(desk.sqs.receive_message, QueueUrl=nowhere) == NO_QUEUE
    assert refusal(desk.sqs.purge_queue, QueueUrl=nowhere) == NO_QUEUE
    for odd in ("http://[", "http://here", "", f"{url}/more"):
        assert refusal(desk.sqs.receive_message, QueueUrl=odd).code == NO_QUEUE[0]
    elsewhere = url.replace(desk.account, "999999999999")
    assert refusal(desk.sqs.receive_message, QueueUrl=elsewhere) == NO_QUEUE
    with pytest.raises(desk.sqs.exceptions.QueueDoesNotExist):
        desk.sqs.get_queue_url(QueueName="nowhere")


def test_tags_and_permissions_are_kept(desk: Desk) -> None:
    url = desk.sqs.create_queue(QueueName="q", tags={"a": "1"})["QueueUrl"]
    desk.sqs.tag_queue(QueueUrl=url, Tags={"b": "2"})
    desk.sqs.untag_queue(QueueUrl=url, TagKeys=["a"])
    assert desk.sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"b": "2"}
    many = {str(n): "" for n in range(50)}
    assert refusal(desk.sqs.tag_queue, QueueUrl=url, Tags=many).code == "InvalidParameterValue"
    permission = {"QueueUrl": url, "Label": "l", "AWSAccountIds": ["111111111111"], "Actions": ["SendMessage"]}
    desk.sqs.add_permission(**permission)
    assert refusal(desk.sqs.add_permission, **permission).code == "InvalidParameterValue"
    [statement] = json.loads(desk.attributes(url, "Policy")["Policy"])["Statement"]
    assert (statement["Sid"], statement["Action"]) == ("l", ["SQS:SendMessage"])
    desk.sqs.remove_permission(QueueUrl=url, Label="l")
    assert desk.attributes(url, "Policy") == {}
    assert refusal(desk.sqs.remove_permission, QueueUrl=url, Label="l").code == "InvalidParameterValue"
    desk.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": '{"Statement": "none"}'})
    assert refusal(desk.sqs.add_permission, **permission).code == "InvalidParameterValue"


# messages


def test_a_message_comes_as_it_was_sent(desk: Desk) -> None:
    url = desk.queue()
    own = {
        "text": {"DataType": "String", "StringValue": "é"},
        "trace.number": {"DataType": "Number.int", "StringValue": "7"},
        "trace.blob": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}}
    sent = desk.send(url, "héllo", MessageAttributes=own, MessageSystemAttributes=trace)
    assert "SequenceNumber" not in sent
    assert sent["MD5OfMessageSystemAttributes"]
    [got] = desk.receive(url, MessageAttributeNames=["All"], MessageSystemAttributeNames=["All"], VisibilityTimeout=0)
    assert (got["MessageId"], got["Body"], got["MessageAttributes"]) == (sent["MessageId"], "héllo", own)
    assert got["MD5OfBody"] == sent["MD5OfMessageBody"]
    assert got["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert got["Attributes"]["ApproximateReceiveCount"] == "1"
    assert got["Attributes"]["AWSTraceHeader"].startswith("Root=")
    [again] = desk.receive(
        url, MessageAttributeNames=["trace.*"], AttributeNames=["SentTimestamp"], VisibilityTimeout=0
    )
    assert set(again["MessageAttributes"]) == {"trace.number", "trace.blob"}
    assert set(again["Attributes"]) == {"SentTimestamp"}
    [bare] = desk.receive(url)
    assert set(bare) == {"MessageId", "ReceiptHandle", "MD5OfBody", "Body"}
    desk.sqs.delete_message(QueueUrl=url, ReceiptHandle=bare["ReceiptHandle"])
    assert members(desk.sqs.receive_message(QueueUrl=url)) == {}


def test_counts_tell_where_messages_are(desk: Desk) -> None:
    url = desk.queue()
    for delay in (0, 0, 900):
        desk.send(url, DelaySeconds=delay)
    desk.receive(url, MaxNumberOfMessages=1)
    found = desk.attributes(url)
    names = ("", "NotVisible", "Delayed")
    assert [found[f"ApproximateNumberOfMessages{name}"] for name in names] == ["1", "1", "1"]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"MaxNumberOfMessages": 0}, "InvalidParameterValue"),
        ({"MaxNumberOfMessages": 11}, "InvalidParameterValue"),
        ({"WaitTimeSeconds": 21}, "InvalidParameterValue"),
        ({"VisibilityTimeout": 43201}, "InvalidParameterValue"),
        ({"AttributeNames": ["Nonsense"]}, "InvalidAttributeName"),
    ],
)
def test_a_receive_that_may_not_be(desk: Desk, request_: dict[str, Any], code: str) -> None:
    assert refusal(desk.sqs.receive_message, QueueUrl=desk.queue(), **request_).code == code


def test_messages_that_may_not_be(desk: Desk) -> None:
    url = desk.queue(MaximumMessageSize="1024")
    for body, code in (
        ("", "MissingParameter"),
        ("a" * 1025, "InvalidParameterValue"),
        ("\x01", "InvalidMessageContents"),
    ):
        assert refusal(desk.sqs.send_message, QueueUrl=url, MessageBody=body).code == code
    bad = {"x": {"DataType": "Real", "StringValue": "1"}}
    assert (
        refusal(desk.sqs.send_message, QueueUrl=url, MessageBody="a", MessageAttributes=bad).code
        == "InvalidParameterValue"
    )
    largest = desk.queue("largest")
    desk.send(largest, "a" * (1 << 20))
    assert len(desk.receive(largest)[0]["Body"]) == 1 << 20


def test_visibility_and_handles(desk: Desk) -> None:
    url = desk.queue()
    desk.send(url)
    [first] = desk.receive(url)
    hide = desk.sqs.change_message_visibility
    hide(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=0)
    late = refusal(hide, QueueUrl=url, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=1)
    assert late.code == "AWS.SimpleQueueService.MessageNotInflight"
    [second] = desk.receive(url)
    stale = refusal(hide, QueueUrl=url, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=1)
    assert stale.code == "InvalidParameterValue"
    assert "not available for visibility timeout change" in stale.message
    too_long = refusal(hide, QueueUrl=url, ReceiptHandle=second["ReceiptHandle"], VisibilityTimeout=43201)
    assert too_long.code == "InvalidParameterValue"
    for call in (desk.sqs.delete_message, hide):
        more = {"VisibilityTimeout": 1} if call is hide else {}
        assert refusal(call, QueueUrl=url, ReceiptHandle="junk", **more).code == "ReceiptHandleIsInvalid"
    other = desk.queue("other")
    foreign = refusal(desk.sqs.delete_message, QueueUrl=other, ReceiptHandle=second["ReceiptHandle"])
    assert foreign.code == "ReceiptHandleIsInvalid"


def test_batches_answer_each_entry(desk: Desk) -> None:
    url = desk.queue()
    entries = [{"Id": str(n), "MessageBody": f"m{n}", "DelaySeconds": 901 if n == 3 else 0} for n in range(4)]
    sent = desk.sqs.send_message_batch(QueueUrl=url, Entries=entries)
    assert [one["Id"] for one in sent["Successful"]] == ["0", "1", "2"]
    assert [(one["Id"], one["Code"], one["SenderFault"]) for one in sent["Failed"]] == [
        ("3", "InvalidParameterValue", True)
    ]
    got = desk.receive(url)
    assert [one["Body"] for one in got] == ["m0", "m1", "m2"]
    handles = [{"Id": one["Body"], "ReceiptHandle": one["ReceiptHandle"]} for one in got]
    hidden = desk.sqs.change_message_visibility_batch(
        QueueUrl=url, Entries=[{**one, "VisibilityTimeout": 60} for one in handles]
    )
    assert len(hidden["Successful"]) == 3
    deleted = desk.sqs.delete_message_batch(QueueUrl=url, Entries=[*handles, {"Id": "x", "ReceiptHandle": "junk"}])
    assert len(deleted["Successful"]) == 3
    assert deleted["Failed"][0]["Code"] == "ReceiptHandleIsInvalid"
    assert desk.attributes(url)["ApproximateNumberOfMessagesNotVisible"] == "0"


@pytest.mark.parametrize(
    ("entries", "code"),
    [
        ([], "EmptyBatchRequest"),
        ([("a", "x")] * 2, "BatchEntryIdsNotDistinct"),
        ([("a b", "x")], "InvalidBatchEntryId"),
        ([(str(n), "x") for n in range(11)], "TooManyEntriesInBatchRequest"),
        ([("a", "x" * (1 << 19)), ("b", "x" * (1 << 19)), ("c", "x")], "BatchRequestTooLong"),
    ],
)
def test_a_batch_that_may_not_be(desk: Desk, entries: list[tuple[str, str]], code: str) -> None:
    url = desk.queue()
    batch = [{"Id": one, "MessageBody": body} for one, body in entries]
    refused = refusal(desk.sqs.send_message_batch, QueueUrl=url, Entries=batch)
    assert refused.code == f"AWS.SimpleQueueService.{code}"
    assert desk.receive(url) == []


def test_dead_letters(desk: Desk) -> None:
    dead, fifo = desk.queue("dead"), desk.queue("f.fifo", FifoQueue="true")
    policy = json.dumps({"deadLetterTargetArn": desk.arn("dead"), "maxReceiveCount": "1"})
    url = desk.queue(RedrivePolicy=policy)
    assert desk.sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [url]
    wrong = refusal(desk.sqs.set_queue_attributes, QueueUrl=fifo, Attributes={"RedrivePolicy": policy})
    assert "same type" in wrong.message
    desk.send(url)
    assert len(desk.receive(url, VisibilityTimeout=0)) == 1
    assert desk.receive(url) == []
    [letter] = desk.receive(dead, AttributeNames=["All"])
    assert letter["Attributes"]["DeadLetterQueueSourceArn"] == desk.arn("q")


def test_a_fifo_queue_keeps_the_order_of_each_group(desk: Desk) -> None:
    url = desk.queue("f.fifo", FifoQueue="true")
    assert (
        refusal(desk.sqs.create_queue, QueueName="f", Attributes={"FifoQueue": "true"}).code == "InvalidParameterValue"
    )
    assert refusal(desk.sqs.send_message, QueueUrl=url, MessageBody="a").code == "MissingParameter"
    lacking = refusal(desk.sqs.send_message, QueueUrl=url, MessageBody="a", MessageGroupId="g")
    assert lacking.code == "InvalidParameterValue"
    first = desk.send(url, "1", MessageGroupId="g", MessageDeduplicationId="d")
    repeated = desk.send(url, "other", MessageGroupId="g", MessageDeduplicationId="d")
    assert (repeated["MessageId"], repeated["SequenceNumber"]) == (first["MessageId"], first["SequenceNumber"])
    second = desk.send(url, "2", MessageGroupId="g", MessageDeduplicationId="e")
    assert len(second["SequenceNumber"]) == 20
    assert second["SequenceNumber"] > first["SequenceNumber"]
    [got] = desk.receive(url, MaxNumberOfMessages=1, AttributeNames=["All"], ReceiveRequestAttemptId="once")
    assert got["Attributes"]["MessageGroupId"] == "g"
    assert desk.receive(url) == []
    desk.sqs.delete_message(QueueUrl=url, ReceiptHandle=got["ReceiptHandle"])
    assert [one["Body"] for one in desk.receive(url)] == ["2"]


def test_purge(desk: Desk) -> None:
    url = desk.queue()
    desk.send(url)
    desk.sqs.purge_queue(QueueUrl=url)
    assert desk.receive(url) == []
    assert refusal(desk.sqs.purge_queue, QueueUrl=url)[0::2] == ("AWS.SimpleQueueService.PurgeQueueInProgress", 403)


# older clients, other clients


def test_the_aws_cli(shell: Shell) -> None:
    def cli(*arguments: str) -> Any:
        return shell.run("sqs", (arguments, ""))

    url = cli("create-queue", "--queue-name", "q", "--attributes", "VisibilityTimeout=9")["QueueUrl"]
    cli("send-message", "--queue-url", url, "--message-body", "from the shell")
    [got] = cli("receive-message", "--queue-url", url, "--attribute-names", "All")["Messages"]
    assert got["Body"] == "from the shell"
    cli("delete-message", "--queue-url", url, "--receipt-handle", got["ReceiptHandle"])


def test_forms_of_older_clients(desk: Desk) -> None:
    made = desk.form(
        Action="CreateQueue",
        QueueName="q",
        **{"Attribute.1.Name": "VisibilityTimeout", "Attribute.1.Value": "5", "Tag.1.Key": "k", "Tag.1.Value": "v"},
    )
    url = f"{desk.server.endpoint}/{desk.account}/q"
    assert f"<CreateQueueResult><QueueUrl>{url}</QueueUrl></CreateQueueResult>" in made.body.decode()
    assert desk.sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"k": "v"}
    own = {"MessageAttribute.1.Name": "x", "MessageAttribute.1.Value.DataType": "String"}
    sent = desk.form(
        f"/{desk.account}/q",
        Action="SendMessage",
        MessageBody="a & b",
        **own,
        **{"MessageAttribute.1.Value.StringValue": "y"},
    )
    assert (sent.status, b"<MD5OfMessageAttributes>" in sent.body) == (200, True)
    batch = {
        "SendMessageBatchRequestEntry.1.Id": "one",
        "SendMessageBatchRequestEntry.1.MessageBody": "c",
    }
    many = desk.form("/", Action="SendMessageBatch", QueueUrl=url, **batch).body
    assert b"<SendMessageBatchResultEntry><Id>one</Id>" in many
    asked = {"AttributeName.1": "All", "MessageAttributeName.1": "All", "MaxNumberOfMessages": "10"}
    got = desk.form(f"/{desk.account}/q", Action="ReceiveMessage", **asked).body.decode()
    assert got.count("<Message>") == 2
    assert "<Body>a &amp; b</Body>" in got
    assert "<Attribute><Name>ApproximateReceiveCount</Name><Value>1</Value></Attribute>" in got
    assert "<MessageAttribute><Name>x</Name><Value><DataType>String</DataType><StringValue>y</StringValue>" in got
    told = desk.form("/", Action="GetQueueAttributes", QueueUrl=url, **{"AttributeName.1": "VisibilityTimeout"})
    assert b"<Attribute><Name>VisibilityTimeout</Name><Value>5</Value></Attribute>" in told.body
    missing = desk.form("/", Action="GetQueueUrl", QueueName="nowhere")
    assert missing.status == 400
    assert b"<Code>AWS.SimpleQueueService.NonExistentQueue</Code>" in missing.body


def test_json_to_the_queues_own_address(desk: Desk) -> None:
    url = desk.queue()
    with connect(desk.server) as connection:
        answer = ask(
            connection,
            "POST",
            f"/{desk.account}/q",
            json.dumps({"QueueUrl": url.replace("127.0.0.1", "elsewhere"), "MessageBody": "a"}).encode(),
            Content_Type="application/x-amz-json-1.0",
            X_Amz_Target="AmazonSQS.SendMessage",
            **signed(desk.account),
        )
    assert answer.status == 200
    assert len(desk.receive(url)) == 1


def test_what_was_answered_survives_kill_9(tmp_path: Path, account: str) -> None:
    running = RunningServer(tmp_path / "data")
    desk = Desk(running, account)
    url = desk.queue()
    for body in ("received", "deleted", "waiting"):
        desk.send(url, body)
    desk.receive(url, MaxNumberOfMessages=1, VisibilityTimeout=600)
    [second] = desk.receive(url, MaxNumberOfMessages=1)
    desk.sqs.delete_message(QueueUrl=url, ReceiptHandle=second["ReceiptHandle"])
    running.kill()
    with configured(tmp_path, "") as again:
        desk = Desk(again, account)
        assert [one["Body"] for one in desk.receive(url)] == ["waiting"]
        assert desk.attributes(url)["ApproximateNumberOfMessagesNotVisible"] == "2"


def test_who_waits_is_answered_when_it_arrives(desk: Desk) -> None:
    url = desk.queue()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(Desk(desk.server, desk.account).receive, url, WaitTimeSeconds=20)
        desk.send(url, "here")
        [got] = eventually(lambda: waiting.done() and waiting.result(), "the message")
    assert got["Body"] == "here"


def test_a_server_that_stops_does_not_wait_for_those_who_wait(tmp_path: Path, account: str) -> None:
    running = RunningServer(tmp_path / "data")
    desk = Desk(running, account)
    url = desk.queue()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(Desk(running, account).receive, url, WaitTimeSeconds=20)
        desk.send(desk.queue("other"))
        assert running.stop() == 0
        assert waiting.exception(timeout=WAIT_S) is not None
