"""/metrics, read with Prometheus's own parser: what was done is what is counted."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.doors.aims import Outside
from tests.doors.asking import ask, configured, connect, log_lines, tocsin
from tests.doors.sickbay import XID, Sickbay
from tests.harness import RunningServer, eventually
from tests.peer import Answer, http_peer
from tocsin.core.settle import pause_s
from tocsin.doors.metrics import METRICS
from tocsin.doors.metrics.table import Kind


class Scraped:
    """One answer of /metrics."""

    def __init__(self, server: RunningServer) -> None:
        with connect(server) as connection:
            answer = ask(connection, "GET", "/metrics")
        assert (answer.status, answer.headers["content-type"].split(";")[0]) == (200, "text/plain")
        self.families = {family.name: family for family in text_string_to_metric_families(answer.body.decode())}
        self.samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float:
        """0 where nothing was counted yet."""
        return self.samples.get((name, frozenset(labels.items())), 0)


def test_every_metric_is_told_with_its_kind_and_its_labels(server: RunningServer) -> None:
    scraped = Scraped(server)
    assert {name for name in scraped.families if not name.startswith("process_")} == set(METRICS)
    assert "process_resident_memory_bytes" in scraped.families
    for name, metric in METRICS.items():
        family = scraped.families[name]
        assert (family.type, family.documentation) == (metric.kind, metric.help)
        if metric.kind is not Kind.HISTOGRAM:
            assert {tuple(sorted(sample.labels)) for sample in family.samples} <= {tuple(sorted(metric.labels))}


def test_what_is_wrong_with_nodes_and_done_about_it_is_counted(server: RunningServer, account: str) -> None:
    bay = Sickbay(server, account, 3, "Automatic")
    before = Scraped(server)
    sick = min(bay.nodes)
    bay.kernel_says(sick, XID.format(code=31))
    bay.kernel_says(sick, XID.format(code=79))
    eventually(lambda: len(bay.told) >= 2, "it is sick, and well again")
    after = Scraped(server)

    def grown(name: str, **labels: str) -> float:
        return after(name, **labels) - before(name, **labels)

    assert grown("tocsin_health_findings_total", fault="xid-79", severity="error") == 1
    assert grown("tocsin_health_findings_total", fault="xid-31", severity="warning") == 1
    assert grown("tocsin_health_verdicts_total", health="Unhealthy") == 1
    assert grown("tocsin_health_verdicts_total", health="Healthy") == 1
    assert grown("tocsin_health_fault_to_finding_seconds_count") == 2
    assert grown("tocsin_health_fault_to_event_seconds_count") == 1
    assert after("tocsin_health_event_to_drain_seconds_count") == 0, "there is no Slurm here"
    assert after("tocsin_health_lemons") == 0
    assert grown("tocsin_health_repairs_total", repair="reboot") == 1
    assert grown("tocsin_health_repairs_total", repair="replace") == 0
    assert after("tocsin_service_total", part="drains", what="drained") == 0
    bay.api.delete_cluster(ClusterName="sick")


def test_what_a_budget_holds_back_is_told_while_it_does(tmp_path: Path) -> None:
    (tmp_path / "tocsin.toml").write_text("[health]\nrepairs_floor = 0\ncluster_percent_max = 0\n")
    own = RunningServer(tmp_path / "data", "--config", str(tmp_path / "tocsin.toml"))
    try:
        bay = Sickbay(own, "111122223333", 2, "Automatic")
        for node in bay.nodes:
            bay.kernel_says(node, XID.format(code=79))
        eventually(lambda: Scraped(own)("tocsin_health_held_back", budget="cluster") == 2, "both are held back")
        assert Scraped(own)("tocsin_health_held_back", budget="domain") == 0
        for node in bay.nodes:
            done = tocsin("health", "clear", node, "--endpoint-url", own.endpoint, "--account", "111122223333")
            assert done.returncode == 0, done.stderr
        eventually(lambda: Scraped(own)("tocsin_health_held_back", budget="cluster") == 0, "nothing is held back")
        assert {one["HealthStatus"] for one in bay.summaries(4)[2:]} == {"Healthy"}
    finally:
        own.stop()


def test_rules_and_targets_are_counted_as_cloudwatch_counts_them(server: RunningServer, account: str) -> None:
    events, logs, sqs = (server.client(service, account) for service in ("events", "logs", "sqs"))
    logs.create_log_group(logGroupName="/there")
    sqs.create_queue(QueueName="dead")
    group = f"arn:aws:logs:us-west-2:{account}:log-group:"
    dead_letters = {"DeadLetterConfig": {"Arn": f"arn:aws:sqs:us-west-2:{account}:dead"}}
    targets = [
        {"Id": "good", "Arn": f"{group}/there"},
        {"Id": "gone", "Arn": f"{group}/gone"},
        {"Id": "told", "Arn": f"{group}/gone", **dead_letters},
    ]
    events.put_rule(Name="r", EventPattern='{"source": ["my.app"]}')
    events.put_targets(Rule="r", Targets=targets)
    events.put_rule(Name="aimless", EventPattern='{"source": ["my.app"]}')
    entries = [{"Source": "my.app", "DetailType": "x", "Detail": "{}"}] * 3
    before = Scraped(server)
    events.put_events(Entries=entries)
    events.put_events(Entries=[{"Source": "other", "DetailType": "x", "Detail": "{}"}])
    eventually(lambda: len(log_lines(server, account, "/there")) == 3, "three deliveries")
    bus = {"account": account, "region": "us-west-2", "bus": "default"}
    rule = {**bus, "rule": "r"}
    now = eventually(
        lambda: found if (found := Scraped(server))("tocsin_events_triggered_rules_total", **bus) == 6 else None, "seen"
    )
    assert now("tocsin_events_matched_events_total", **rule) == 3
    assert now("tocsin_events_matched_events_total", **bus, rule="aimless") == 3
    counted = {
        target: [
            now(f"tocsin_events_{name}_total", **rule, target=target)
            for name in (
                *("invocations", "failed_invocations", "dead_letter_invocations"),
                "invocations_failed_to_be_sent_to_dlq",
            )
        ]
        for target in ("good", "gone", "told")
    }
    assert counted == {"good": [3, 0, 0, 0], "gone": [3, 3, 0, 3], "told": [3, 3, 3, 0]}
    assert [
        now("tocsin_events_target_latency_seconds_count", **rule, target=one) for one in ("good", "gone", "told")
    ] == [3, 3, 3]
    latency = "tocsin_events_ingestion_to_invocation_seconds"
    assert now(f"{latency}_count") - before(f"{latency}_count") >= 9
    assert now(f"{latency}_bucket", le="+Inf") == now(f"{latency}_count")
    put = {"service": "events", "operation": "PutEvents", "status": "200"}
    assert now("tocsin_http_requests_total", **put) - before("tocsin_http_requests_total", **put) >= 2
    assert now("tocsin_journal_accepted_total") - before("tocsin_journal_accepted_total") >= 4
    assert now("tocsin_service_total", part="bus", what="routed") >= 4
    assert now("tocsin_store_commits_total", outcome="committed") > before(
        "tocsin_store_commits_total", outcome="committed"
    )


def test_what_is_owed_to_the_outside_is_counted_by_target(server: RunningServer, account: str) -> None:
    with http_peer() as peer:
        peer.answers["/bad"] = [Answer(status=500)]
        outside = Outside(server, account, peer)
        connection = outside.connect()
        once = {"RetryPolicy": {"MaximumRetryAttempts": 1}}
        dead_letters = {"DeadLetterConfig": {"Arn": outside.queue("dlq")[1]}}
        good, bad = (outside.destine(f"/{name}", name, connection) for name in ("good", "bad"))
        outside.events.put_rule(Name="r", EventPattern='{"source": ["my.app"]}')
        outside.events.put_targets(
            Rule="r",
            Targets=[
                {"Id": "good", "Arn": good},
                {"Id": "lost", "Arn": bad, **once},
                {"Id": "told", "Arn": bad, **once, **dead_letters},
            ],
        )
        outside.put()
        where = {"account": account, "region": "us-west-2", "bus": "default", "rule": "r"}
        failed = "tocsin_events_failed_invocations_total"
        now = eventually(
            lambda: (
                found
                if all((found := Scraped(server))(failed, **where, target=one) for one in ("lost", "told"))
                and found("tocsin_events_invocations_total", **where, target="good")
                else None
            ),
            "one delivered, both others given up",
        )
    counted = {
        target: [
            now(f"tocsin_events_{name}_total", **where, target=target)
            for name in (
                *("invocations", "failed_invocations", "retry_invocation_attempts", "dead_letter_invocations"),
                "invocations_failed_to_be_sent_to_dlq",
            )
        ]
        for target in ("good", "lost", "told", "")
    }
    took = {
        target: [now(f"tocsin_events_target_latency_seconds_{of}", **where, target=target) for of in ("count", "sum")]
        for target in ("good", "lost", "told")
    }
    assert [count for count, _ in took.values()] == [1, 1, 1]
    assert took["lost"][1] > 0.9 * pause_s(1, 0), "it lasts until the retry, however quick that fails"
    assert counted == {"good": [1, 0, 0, 0, 0], "lost": [1, 1, 1, 0, 1], "told": [1, 1, 1, 1, 0], "": [0, 0, 0, 0, 0]}


def test_what_noise_control_holds_back_is_counted(server: RunningServer, account: str) -> None:
    events, logs = (server.client(service, account) for service in ("events", "logs"))
    logs.create_log_group(logGroupName="/g")
    arn = f"arn:aws:logs:us-west-2:{account}:log-group:/g"
    events.put_rule(
        Name="r", EventPattern='{"source": ["my.app"]}', Tags=[{"Key": "tocsin:noise", "Value": "throttle=1/1h"}]
    )
    events.put_targets(Rule="r", Targets=[{"Id": "log", "Arn": arn}])
    events.put_events(Entries=[{"Source": "my.app", "DetailType": "x", "Detail": "{}"}] * 3)
    labels = {"account": account, "region": "us-west-2", "bus": "default", "rule": "r", "target": "log"}
    eventually(lambda: Scraped(server)("tocsin_events_held_back_total", **labels) == 2, "two held back")


def test_refusals_and_our_own_paths_are_requests_too(server: RunningServer) -> None:
    with connect(server) as connection:
        ask(connection, "GET", "/_tocsin/v1/nothing")
        ask(connection, "POST", "/", b"{}")
        ask(connection, "POST", "/", b"{}", x_amz_target="AWSEvents.DescribeRule")
    now = Scraped(server)
    assert now("tocsin_http_requests_total", service="tocsin", operation="", status="404") >= 1
    assert now("tocsin_http_requests_total", service="", operation="", status="400") >= 1
    assert now("tocsin_http_requests_total", service="events", operation="DescribeRule", status="400") >= 1


KEYS = '[access_keys]\nAKIAIOSFODNN7EXAMPLE = "secret"\n'


@pytest.fixture(params=["closed", "open"])
def guarded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[RunningServer, bool]]:
    opened = request.param == "open"
    toml = ("open_metrics = true\n" if opened else "") + KEYS
    with configured(tmp_path, toml, "--log-format", "json") as running:
        yield running, opened


def test_metrics_are_signed_for_unless_they_are_open(guarded: tuple[RunningServer, bool]) -> None:
    running, opened = guarded
    with connect(running) as connection:
        assert ask(connection, "GET", "/metrics").status == (200 if opened else 403)
        assert ask(connection, "GET", "/_tocsin/v1/status").status == 403


def test_the_log_is_json_where_that_is_asked_for(tmp_path: Path) -> None:
    with configured(tmp_path, "", "--log-format", "json", "--log-level", "info") as running:
        pass
    lines = [json.loads(line) for line in running.errors.read_text().splitlines()]
    assert lines
    assert all(set(line) >= {"time", "level", "part", "message"} for line in lines)
    assert {line["level"] for line in lines} == {"INFO"}
