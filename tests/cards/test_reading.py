"""What the card of a message says, event type by event type."""

import json
from pathlib import Path
from typing import Any

import pytest

from tocsin.core.announce import HEALTHY_REPLACEMENT
from tocsin.core.cards import Card, Hints, Tone, read_card, slack, teams

GOLDEN = Path(__file__).parent.parent / "core" / "golden"
HINTS = Hints(topic="alerts")


def golden(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text())
    return found


def card_of(content: object, **hints: str) -> Card:
    return read_card(content if isinstance(content, str) else json.dumps(content), Hints(topic="alerts", **hints))


def facts(card: Card) -> dict[str, str]:
    return {fact.name: fact.text for fact in card.facts}


def health(
    status: str = "Unhealthy", reason: str = "r", instance: str = "i-1", repair: str = "Replace"
) -> dict[str, Any]:
    summary = {"HealthStatus": status, "HealthStatusReason": reason, "RepairAction": repair, "Recommendation": "Wait."}
    detail = {"ClusterName": "c", "ClusterArn": "arn:c", "InstanceId": instance, "HealthSummary": summary}
    return {"detail-type": "SageMaker HyperPod Cluster Node Health Event", "source": "aws.sagemaker", "detail": detail}


def cluster_event(level: str, **details: Any) -> dict[str, Any]:
    said = {"ClusterName": "c", "ResourceType": "Instance", "EventLevel": level, **details}
    return {"detail-type": "SageMaker HyperPod Cluster Event", "detail": {"EventDetails": said}}


def test_a_state_change_tells_cluster_status_and_groups_with_their_counts() -> None:
    card = card_of(golden("real-state-change-updating-shrink"), previous="InService")
    assert card.title == "Cluster slurm-orchestrator-no-vpc is Updating"
    assert facts(card)["Status"] == "InService → Updating"
    assert card.lines == (
        "controller-machine: 1 of 1 ml.t3.medium, InService",
        "worker-group-1: 1 of 0 ml.t3.medium, Deleting",
    )
    assert card.footer == "111122223333 · us-west-2 · 2025-05-11T08:04:29Z"


def test_a_status_before_that_is_not_known_is_not_told() -> None:
    assert facts(card_of(golden("real-state-change-creating")))["Status"] == "Creating"


@pytest.mark.parametrize(
    ("status", "group", "tone"),
    [
        ("InService", "InService", Tone.GOOD),
        ("InService", "Degraded", Tone.WARNING),
        ("Failed", "Failed", Tone.BAD),
        ("RollingBack", "RollingBack", Tone.WARNING),
        ("Updating", "Updating", Tone.INFO),
        ("SomethingNew", "", Tone.INFO),
    ],
)
def test_the_colour_of_a_state_change_is_its_severity(status: str, group: str, tone: Tone) -> None:
    event = golden("real-state-change-creating")
    event["detail"] |= {"ClusterStatus": status, "InstanceGroups": [{"Status": group}]}
    assert card_of(event).tone is tone


def test_a_failed_cluster_says_why() -> None:
    event = golden("real-state-change-creating")
    event["detail"] |= {"ClusterStatus": "Failed", "FailureMessage": "no capacity"}
    assert card_of(event).text == "no capacity"


def test_a_sick_node_tells_fault_repair_and_what_to_do_next() -> None:
    card = card_of(golden("documented-node-health"))
    assert card.tone is Tone.BAD
    assert facts(card) == {
        "Cluster": "sample-cluster",
        "Instance": "i-12345678abcdefghi",
        "Fault type": "NvidiaErrorTerminate",
        "Repair action": "None",
    }
    assert card.steps == ("Please Replace the Faulty Node.",)
    assert "send-command" in card.command
    assert "i-12345678abcdefghi" in card.command


def test_a_name_out_of_an_event_is_quoted_where_a_shell_will_read_it() -> None:
    evil = "i-1; rm -rf ~"
    for event in (health(instance=evil), cluster_event("Error", InstanceId=evil)):
        assert card_of(event).command.endswith(f"--instance-ids '{evil}'")
    event = golden("real-state-change-creating")
    event["detail"]["ClusterName"] = "$(x)"
    assert card_of(event).command == "tocsin story '$(x)'"


def test_a_fault_and_its_recovery_are_one_thread_which_the_recovery_closes() -> None:
    fault, recovery = card_of(health()), card_of(health("Healthy"))
    assert fault.thread == recovery.thread != ""
    assert (fault.ends, recovery.ends) == (False, True)
    assert (recovery.tone, recovery.title, recovery.steps) == (Tone.GOOD, "Node i-1 of c is healthy again", ())


def test_a_replacement_that_came_up_belongs_to_the_node_it_replaces() -> None:
    recovery = card_of(health("Healthy", HEALTHY_REPLACEMENT.format(replaced="i-1"), instance="i-2"))
    assert recovery.thread == card_of(health()).thread
    assert facts(recovery)["Replaces"] == "i-1"


def test_two_nodes_are_two_threads() -> None:
    assert card_of(health(instance="i-1")).thread != card_of(health(instance="i-2")).thread


@pytest.mark.parametrize(("level", "tone"), [("Info", Tone.INFO), ("Warn", Tone.WARNING), ("Error", Tone.BAD)])
def test_a_cluster_event_has_the_colour_of_its_level(level: str, tone: Tone) -> None:
    assert card_of(cluster_event(level)).tone is tone


@pytest.mark.parametrize("nested", [True, False])
def test_the_failure_in_a_cluster_event_is_found_in_either_shape(nested: bool) -> None:
    metadata = {"EventMetadata": {"Instance": {"FailureMessage": "no capacity"}}}
    event = cluster_event(
        "Error",
        Description="Instance creation failed",
        InstanceGroupName="g",
        InstanceId="i-1",
        **({"EventDetails": metadata} if nested else metadata),
    )
    card = card_of(event)
    assert (card.title, card.text) == ("Instance creation failed", "no capacity")
    assert facts(card) == {"Cluster": "c", "Instance group": "g", "Instance": "i-1", "Level": "Error"}


NOTICE = {
    "version": "1.0",
    "source": "custom",
    "content": {
        "textType": "client-markdown",
        "title": ":boom: It broke",
        "description": "*Look* at <https://wiki.example/a?b=1&c=2|the page>, <!channel>",
        "nextSteps": ["Refer to <https://wiki.example|this>", "Call"],
        "keywords": ["BatchOps", "Critical"],
    },
    "metadata": {"threadId": "t-1", "summary": "it broke", "eventType": "ops", "relatedResources": ["arn:x"],
                 "additionalContext": {"a": "b"}},
}  # fmt: skip


def test_a_custom_notification_is_shown_as_its_author_wrote_it() -> None:
    blocks = slack(card_of(NOTICE))["attachments"][0]["blocks"]
    assert blocks[0]["text"]["text"] == ":boom: It broke"
    shown = [block["text"]["text"] for block in blocks if block["type"] == "section"]
    assert shown[1] == "*Look* at <https://wiki.example/a?b=1&amp;c=2|the page>, &lt;!channel&gt;"
    assert shown[2] == "*Next steps*\n• Refer to <https://wiki.example|this>\n• Call"
    assert blocks[-1]["elements"][0]["text"] == "`BatchOps` `Critical` · ops"


def test_the_summary_of_a_custom_notification_is_what_a_notification_shows() -> None:
    assert slack(card_of(NOTICE))["attachments"][0]["fallback"] == "it broke"
    assert teams(card_of(NOTICE))["attachments"][0]["content"]["fallbackText"] == "it broke"


def test_custom_notifications_of_one_thread_id_are_one_thread_and_none_closes_it() -> None:
    other = NOTICE | {"metadata": {"threadId": "t-2"}}
    assert card_of(NOTICE).thread == card_of(NOTICE).thread != card_of(other).thread
    assert not card_of(NOTICE).ends
    assert card_of(NOTICE | {"metadata": {}}).thread == ""


@pytest.mark.parametrize("without", ["version", "source", "content"])
def test_what_is_no_custom_notification_is_shown_all_the_same(without: str) -> None:
    content = {name: value for name, value in NOTICE.items() if name != without}
    card = card_of(content, subject="the subject")
    assert (card.title, json.loads(card.code)) == ("the subject", content)


def test_an_alarm_tells_state_reason_and_metric() -> None:
    alarm = {
        "AlarmName": "hot",
        "NewStateValue": "ALARM",
        "OldStateValue": "OK",
        "NewStateReason": "Threshold Crossed",
        "Trigger": {"MetricName": "Temp", "Namespace": "GPU"},
    }
    card, over = card_of(alarm), card_of(alarm | {"NewStateValue": "OK"})
    assert (card.tone, card.title, card.text) == (Tone.BAD, "ALARM: hot", "Threshold Crossed")
    assert facts(card) == {"State": "OK → ALARM", "Metric": "GPU Temp"}
    assert (over.tone, over.thread, over.ends) == (Tone.GOOD, card.thread, True)


def test_an_event_of_another_service_shows_its_detail() -> None:
    card = card_of({"detail-type": "Order", "source": "shop", "detail": {"n": 1}})
    assert (card.title, facts(card)) == ("Order", {"Source": "shop"})
    assert json.loads(card.code) == {"n": 1}


@pytest.mark.parametrize("text", ["hello", "17", '"quoted"', "", "{broken"])
def test_plain_text_is_shown_under_its_subject_or_its_topic(text: str) -> None:
    assert (card_of(text, subject="s").title, card_of(text).title) == ("s", "Message on alerts")
    assert card_of(text).text == text


def test_a_link_to_the_console_is_filled_from_the_event_and_encoded() -> None:
    event = golden("real-state-change-creating")
    event["detail"]["ClusterName"] = "a/../b c"
    card = card_of(event, console_link="https://x.example/{region}/{account}/{cluster}/{cluster_id}")
    assert card.links[0].url == "https://x.example/us-west-2/111122223333/a%2F..%2Fb%20c/ac7vzqgh29mf"


def test_without_a_console_there_is_no_button() -> None:
    assert card_of(golden("real-state-change-creating")).links == ()
