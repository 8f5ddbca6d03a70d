"""What a message, an attribute and a handle may be."""

import pytest

from tocsin.core.queues.attributes import check_name, checked
from tocsin.core.queues.handles import Handle, handle_text, read_handle
from tocsin.core.queues.messages import Draft, attributes_md5, check_draft
from tocsin.model.names import Scope
from tocsin.model.queue import MessageAttribute, Queue
from tocsin.model.queue_errors import InvalidAttributeName, QueueError, ReceiptHandleIsInvalid

PLAIN = Queue(scope=Scope("1", "r"), name="q", id="i", created_ms=0, modified_ms=0)
FIFO = Queue(
    scope=Scope("1", "r"), name="q.fifo", id="i", created_ms=0, modified_ms=0, attributes={"FifoQueue": "true"}
)


def test_a_handle_says_what_it_was_made_of() -> None:
    handle = Handle("queue-id", 12, 3)
    assert read_handle(handle_text(handle)) == handle


@pytest.mark.parametrize("text", ["", "x", "é", "AAAA" * 10, "A" * 5000, handle_text(Handle("a", 1, 1))[:-3] + "A=="])
def test_what_was_never_a_handle_is_refused(text: str) -> None:
    with pytest.raises(ReceiptHandleIsInvalid):
        read_handle(text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VisibilityTimeout", "43201"),
        ("VisibilityTimeout", "-1"),
        ("VisibilityTimeout", "x"),
        ("DelaySeconds", "901"),
        ("MaximumMessageSize", "1023"),
        ("MaximumMessageSize", "1048577"),
        ("MessageRetentionPeriod", "59"),
        ("ReceiveMessageWaitTimeSeconds", "21"),
        ("SqsManagedSseEnabled", "maybe"),
        ("FifoQueue", "true"),
        ("QueueArn", "x"),
        ("Nonsense", "x"),
        ("Policy", "no json"),
        ("RedrivePolicy", "{}"),
        ("RedrivePolicy", '{"deadLetterTargetArn":"arn:aws:sqs:r:1:d","maxReceiveCount":1001}'),
        ("RedrivePolicy", '{"deadLetterTargetArn":"arn:aws:sqs:r:1:d","maxReceiveCount":1,"more":1}'),
        ("RedrivePolicy", "[]"),
    ],
)
def test_an_attribute_out_of_its_range_is_refused(name: str, value: str) -> None:
    with pytest.raises(QueueError):
        checked({name: value}, fifo=False)


def test_attributes_are_kept_in_one_spelling() -> None:
    found = checked({"FifoQueue": "TRUE", "VisibilityTimeout": "007", "DeduplicationScope": "messagegroup"}, fifo=True)
    assert found == {"FifoQueue": "true", "VisibilityTimeout": "7", "DeduplicationScope": "messageGroup"}
    with pytest.raises(InvalidAttributeName):
        checked({"ContentBasedDeduplication": "true"}, fifo=False)


@pytest.mark.parametrize(
    ("name", "fifo"), [("", False), ("a.fifo", False), ("a" * 81, False), ("a", True), (".fifo", True)]
)
def test_names_that_are_none(name: str, fifo: bool) -> None:
    with pytest.raises(QueueError):
        check_name(name, fifo=fifo)


def text(value: str | None, kind: str = "String") -> MessageAttribute:
    return MessageAttribute(data_type=kind, text=value)


@pytest.mark.parametrize(
    ("draft", "code"),
    [
        (Draft(body=""), "MissingParameter"),
        (Draft(body="a\x00"), "InvalidMessageContents"),
        (Draft(body="a" * (1 << 20) + "b"), "InvalidParameterValue"),
        (Draft(body="a", delay_s=901), "InvalidParameterValue"),
        (Draft(body="a", dedup_id="d"), "InvalidParameterValue"),
        (Draft(body="a", group_id="a b"), "InvalidParameterValue"),
        (Draft(body="a", attributes={"AWS.x": text("v")}), "InvalidParameterValue"),
        (Draft(body="a", attributes={"a..b": text("v")}), "InvalidParameterValue"),
        (Draft(body="a", attributes={"x": text("")}), "InvalidParameterValue"),
        (Draft(body="a", attributes={"x": text("v", "")}), "InvalidParameterValue"),
        (Draft(body="a", attributes={"x": text("v", "Real")}), "InvalidParameterValue"),
        (Draft(body="a", attributes={"x": text("nan", "Number")}), "InvalidParameterValue"),
        (Draft(body="a", attributes={"x": text("v", "Binary")}), "InvalidParameterValue"),
        (Draft(body="a", attributes={f"x{n}": text("v") for n in range(11)}), "InvalidParameterValue"),
    ],
)
def test_a_message_that_may_not_be(draft: Draft, code: str) -> None:
    with pytest.raises(QueueError) as refused:
        check_draft(PLAIN, draft)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("draft", "code"),
    [
        (Draft(body="a", dedup_id="d"), "MissingParameter"),
        (Draft(body="a", group_id="g"), "InvalidParameterValue"),
        (Draft(body="a", group_id="g", dedup_id="d", delay_s=1), "InvalidParameterValue"),
    ],
)
def test_a_message_that_may_not_be_in_order(draft: Draft, code: str) -> None:
    with pytest.raises(QueueError) as refused:
        check_draft(FIFO, draft)
    assert refused.value.code == code


def test_the_largest_message_counts_its_attributes() -> None:
    check_draft(PLAIN, Draft(body="a" * ((1 << 20) - 8), attributes={"x": text("v")}))
    with pytest.raises(QueueError):
        check_draft(PLAIN, Draft(body="a" * ((1 << 20) - 7), attributes={"x": text("v")}))


def test_the_digest_of_attributes_is_that_of_aws() -> None:
    """The value was computed by hand from AWS's description of the encoding."""
    assert attributes_md5({}) is None
    assert attributes_md5({"x": text("1", "Number")}) == "f74589db8f5a716ec330a0a04131e604"
