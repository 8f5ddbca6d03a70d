"""Log groups, their tags and their policies."""

from pathlib import Path

import pytest

from tests.logs.desk import GROUP, HERE, START_MS, STREAM, Desk, at_the_desk
from tocsin.doors.logs.groups import RETENTION_DAYS
from tocsin.model.changes import Put
from tocsin.model.errors import (
    InvalidParameter,
    LimitExceeded,
    OperationAborted,
    ResourceAlreadyExists,
    ResourceNotFoundException,
    ServiceUnavailable,
    Stale,
    StoreUnavailable,
    TooManyTags,
    Validation,
)
from tocsin.model.names import Scope, log_group_arn
from tocsin.model.tags import Tags

ARN = f"arn:aws:logs:us-west-2:111122223333:log-group:{GROUP}"


def test_a_new_group_is_described_as_on_aws(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk("CreateLogGroup", logGroupName=GROUP, kmsKeyId="arn:aws:kms:us-west-2:111122223333:key/k")
        assert await desk("DescribeLogGroups") == {
            "logGroups": [
                {
                    "logGroupName": GROUP,
                    "creationTime": START_MS,
                    "retentionInDays": None,
                    "metricFilterCount": 0,
                    "arn": f"{ARN}:*",
                    "storedBytes": 0,
                    "kmsKeyId": "arn:aws:kms:us-west-2:111122223333:key/k",
                    "logGroupClass": "STANDARD",
                    "logGroupArn": ARN,
                    "deletionProtectionEnabled": False,
                }
            ]
        }

    at_the_desk(tmp_path, story)


def test_stored_bytes_count_messages_and_26_bytes_an_event(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.group(GROUP, STREAM)
        await desk.put((0, "abc"), (1, "ä"))
        [group] = (await desk("DescribeLogGroups"))["logGroups"]
        assert group["storedBytes"] == 3 + 26 + 2 + 26

    at_the_desk(tmp_path, story)


def test_a_name_is_taken_once_per_account_and_region(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.group()
        with pytest.raises(ResourceAlreadyExists, match=r"^The specified log group already exists$"):
            await desk.group()
        await Desk(desk.store, Scope("111122223333", "eu-west-1")).group()
        await Desk(desk.store, Scope("999999999999", "us-west-2")).group()

    at_the_desk(tmp_path, story)


@pytest.mark.parametrize("name", ["aws/spans", "AWS/x"])
def test_names_of_aws_are_reserved(tmp_path: Path, name: str) -> None:
    async def story(desk: Desk) -> None:
        with pytest.raises(InvalidParameter, match=r"Log groups starting with AWS/ are reserved for AWS\."):
            await desk.group(name)
        await desk.group("/aws/events/x")

    at_the_desk(tmp_path, story)


def test_a_deleted_group_takes_its_events_and_tags_along_and_frees_its_name(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk("CreateLogGroup", logGroupName=GROUP, tags={"team": "a"})
        await desk("CreateLogStream", logGroupName=GROUP, logStreamName=STREAM)
        await desk.put((0, "x"))
        await desk("DeleteLogGroup", logGroupName=GROUP)
        with pytest.raises(ResourceNotFoundException, match=r"The specified log group does not exist\."):
            await desk("FilterLogEvents", logGroupName=GROUP)
        await desk.group()
        assert (await desk("DescribeLogStreams", logGroupName=GROUP))["logStreams"] == []
        assert (await desk("FilterLogEvents", logGroupName=GROUP))["events"] == []
        assert (await desk("ListTagsLogGroup", logGroupName=GROUP))["tags"] == {}

    at_the_desk(tmp_path, story)


def test_a_new_group_does_not_inherit_tags_left_behind(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.store.commit(Put(Tags(scope=HERE, arn=ARN, tags={"ghost": "x"})))
        await desk("CreateLogGroup", logGroupName=GROUP, tags={"new": "y"})
        assert (await desk("ListTagsForResource", resourceArn=ARN))["tags"] == {"new": "y"}

    at_the_desk(tmp_path, story)


def test_a_protected_group_is_not_deleted_until_the_protection_goes(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk("CreateLogGroup", logGroupName=GROUP, deletionProtectionEnabled=True)
        await desk("CreateLogStream", logGroupName=GROUP, logStreamName=STREAM)
        for operation, members in (("DeleteLogGroup", {}), ("DeleteLogStream", {"logStreamName": STREAM})):
            with pytest.raises(Validation, match="PutLogGroupDeletionProtection"):
                await desk(operation, logGroupName=GROUP, **members)
        await desk("PutLogGroupDeletionProtection", logGroupIdentifier=ARN, deletionProtectionEnabled=False)
        await desk("DeleteLogStream", logGroupName=GROUP, logStreamName=STREAM)
        await desk("DeleteLogGroup", logGroupName=GROUP)

    at_the_desk(tmp_path, story)


def test_groups_come_in_pages_in_the_order_of_their_names(tmp_path: Path) -> None:
    names = sorted([f"/a/{number}" for number in range(7)] + ["/A", "/b", "b"])

    async def story(desk: Desk) -> None:
        for name in reversed(names):
            await desk.group(name)
        pages = await desk.everything("DescribeLogGroups", "logGroups", limit=3)
        assert [len(page) for page in pages] == [3, 3, 3, 1]
        assert [group["logGroupName"] for page in pages for group in page] == names
        under = await desk("DescribeLogGroups", logGroupNamePrefix="/a")
        assert [group["logGroupName"] for group in under["logGroups"]] == names[1:8]
        found = await desk.everything("DescribeLogGroups", "logGroups", logGroupNamePattern="b", limit=1)
        assert [page[0] for page in found] == [
            {"logGroupName": name, "creationTime": START_MS, "arn": log_group_arn(HERE, name) + ":*"}
            for name in ("/b", "b")
        ]

    at_the_desk(tmp_path, story)


def test_a_pattern_is_looked_for_a_bounded_piece_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.doors.logs.groups.GROUPS_LOOKED_AT_MAX", 2)

    async def story(desk: Desk) -> None:
        for number in range(7):
            await desk.group(f"g{number}")
        pages = await desk.everything("DescribeLogGroups", "logGroups", logGroupNamePattern="5")
        assert [[group["logGroupName"] for group in page] for page in pages] == [[], [], ["g5"], []]

    at_the_desk(tmp_path, story)


def test_groups_are_found_by_class_and_by_identifier(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        for name, log_class in (("s", "STANDARD"), ("i", "INFREQUENT_ACCESS"), ("e", "ESSENTIALS"), ("d", "DELIVERY")):
            await desk("CreateLogGroup", logGroupName=name, logGroupClass=log_class)

        async def names(**members: object) -> list[str]:
            return [group["logGroupName"] for group in (await desk("DescribeLogGroups", **members))["logGroups"]]

        assert await names(logGroupClass="ESSENTIALS") == ["e", "i"]
        assert await names(logGroupClass="STANDARD") == ["s"]
        assert await names(logGroupIdentifiers=["s", log_group_arn(HERE, "d")]) == ["s", "d"]
        [delivery] = (await desk("DescribeLogGroups", logGroupClass="DELIVERY"))["logGroups"]
        assert delivery["retentionInDays"] == 1

    at_the_desk(tmp_path, story)


def test_a_prefix_and_a_pattern_exclude_each_other(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        text = r"^LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters\.$"
        with pytest.raises(InvalidParameter, match=text):
            await desk("DescribeLogGroups", logGroupNamePrefix="a", logGroupNamePattern="b")

    at_the_desk(tmp_path, story)


@pytest.mark.parametrize("token", ["x", "f/", "AAAA", "é" * 9])
@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("DescribeLogGroups", {}),
        ("DescribeLogStreams", {"logGroupName": GROUP}),
        ("DescribeLogStreams", {"logGroupName": GROUP, "descending": True}),
        ("FilterLogEvents", {"logGroupName": GROUP}),
        ("GetLogEvents", {"logGroupName": GROUP, "logStreamName": STREAM}),
        ("DescribeResourcePolicies", {}),
    ],
)
def test_a_token_that_is_none_is_refused(
    tmp_path: Path, operation: str, members: dict[str, object], token: str
) -> None:
    async def story(desk: Desk) -> None:
        await desk.group(GROUP, STREAM)
        with pytest.raises(InvalidParameter, match=r"The specified nextToken is invalid\."):
            await desk(operation, nextToken=token, **members)

    at_the_desk(tmp_path, story)


def test_retention_takes_the_days_aws_takes(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.group()
        for days in RETENTION_DAYS:
            await desk("PutRetentionPolicy", logGroupName=GROUP, retentionInDays=days)
            [group] = (await desk("DescribeLogGroups"))["logGroups"]
            assert group["retentionInDays"] == days
        text = (
            r"^1 validation error detected: Value '2' at 'retentionInDays' failed .* enum value set: \[1, 3, 5, 7, 14, "
        )
        with pytest.raises(InvalidParameter, match=text):
            await desk("PutRetentionPolicy", logGroupName=GROUP, retentionInDays=2)
        await desk("DeleteRetentionPolicy", logGroupName=GROUP)
        [group] = (await desk("DescribeLogGroups"))["logGroups"]
        assert group["retentionInDays"] is None

    at_the_desk(tmp_path, story)


def test_old_and_new_tag_operations_see_the_same_tags(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk("CreateLogGroup", logGroupName=GROUP, tags={"env": "1"})
        await desk("TagResource", resourceArn=ARN, tags={"test1": "val1", "test2": "val2"})
        await desk("TagLogGroup", logGroupName=GROUP, tags={"test3": "val3", "env": "2"})
        expected = {"env": "2", "test1": "val1", "test2": "val2", "test3": "val3"}
        assert (await desk("ListTagsForResource", resourceArn=ARN))["tags"] == expected
        assert (await desk("ListTagsLogGroup", logGroupName=GROUP))["tags"] == expected
        await desk("UntagResource", resourceArn=ARN, tagKeys=["env", "unknown"])
        await desk("UntagLogGroup", logGroupName=GROUP, tags=["test1", "test3"])
        assert (await desk("ListTagsForResource", resourceArn=f"{ARN}:*"))["tags"] == {"test2": "val2"}

    at_the_desk(tmp_path, story)


def test_tags_have_limits(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.group()
        await desk("TagResource", resourceArn=ARN, tags={f"k{number}": "" for number in range(50)})
        with pytest.raises(TooManyTags, match="50"):
            await desk("TagResource", resourceArn=ARN, tags={"one": "more"})
        with pytest.raises(InvalidParameter, match="aws:"):
            await desk("TagResource", resourceArn=ARN, tags={"aws:x": ""})
        for arn in (log_group_arn(HERE, "none"), log_group_arn(Scope("999999999999", "us-west-2"), GROUP)):
            with pytest.raises(ResourceNotFoundException):
                await desk("ListTagsForResource", resourceArn=arn)
        with pytest.raises(InvalidParameter):
            await desk("ListTagsForResource", resourceArn="arn:aws:logs:us-west-2:111122223333:destination:d")

    at_the_desk(tmp_path, story)


DOCUMENT = '{"Version":"2012-10-17","Statement":[]}'


def test_ten_policies_and_no_more(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        for number in range(10):
            await desk("PutResourcePolicy", policyName=f"p{number}", policyDocument=DOCUMENT)
        with pytest.raises(LimitExceeded, match=r"^Resource limit exceeded\.$"):
            await desk("PutResourcePolicy", policyName="one more", policyDocument=DOCUMENT)
        desk.later(seconds=1)
        changed = await desk("PutResourcePolicy", policyName="p3", policyDocument='{"Statement":{}}')
        assert changed["resourcePolicy"]["lastUpdatedTime"] == START_MS + 1000
        pages = await desk.everything("DescribeResourcePolicies", "resourcePolicies", limit=4)
        assert [policy["policyName"] for page in pages for policy in page] == [f"p{number}" for number in range(10)]
        assert pages[0][3]["policyDocument"] == '{"Statement":{}}'
        await desk("DeleteResourcePolicy", policyName="p0")
        with pytest.raises(ResourceNotFoundException, match=r"Policy with name \[p0\] does not exist"):
            await desk("DeleteResourcePolicy", policyName="p0")
        assert (await desk("DescribeResourcePolicies", policyScope="RESOURCE"))["resourcePolicies"] == []

    at_the_desk(tmp_path, story)


@pytest.mark.parametrize(
    "members", [{"policyName": "p"}, {"policyDocument": DOCUMENT}, {"policyName": "p", "policyDocument": "no"}]
)
def test_a_policy_needs_a_name_and_a_document(tmp_path: Path, members: dict[str, str]) -> None:
    async def story(desk: Desk) -> None:
        with pytest.raises(InvalidParameter):
            await desk("PutResourcePolicy", **members)

    at_the_desk(tmp_path, story)


def test_a_lost_race_is_run_again_and_told_when_it_is_always_lost(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.group(GROUP, STREAM)
        commit, losses = desk.store.commit, iter([True, True] + [False] + [True] * 100)

        async def contended(*changes: object) -> None:
            if next(losses):
                raise Stale
            await commit(*changes)  # type: ignore[arg-type]

        desk.store.commit = contended  # type: ignore[method-assign]
        await desk("PutRetentionPolicy", logGroupName=GROUP, retentionInDays=7)
        with pytest.raises(OperationAborted, match="A conflicting operation is currently in progress"):
            await desk("PutRetentionPolicy", logGroupName=GROUP, retentionInDays=3)
        with pytest.raises(ServiceUnavailable):
            await desk.put((0, "x"))

    at_the_desk(tmp_path, story)


def test_a_store_that_is_away_is_a_service_that_is_unavailable(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        async def away(*changes: object) -> None:
            raise StoreUnavailable("disk full")

        desk.store.commit = away  # type: ignore[method-assign]
        with pytest.raises(ServiceUnavailable):
            await desk.group()

    at_the_desk(tmp_path, story)
