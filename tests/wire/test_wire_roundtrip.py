"""What botocore writes is what we read, and what we write is what botocore reads."""

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.wire.wire_models import (
    WIRE,
    inputs,
    model_of,
    protocol_of,
    pruned,
    results,
    serialized,
    success_of,
    understood,
)
from tocsin.doors.wire import Call

OPERATIONS = [
    ("events", "PutEvents"),
    ("events", "PutRule"),
    ("events", "PutTargets"),
    ("events", "ListRules"),
    ("events", "DescribeRule"),
    ("events", "StartReplay"),
    ("events", "CreateConnection"),
    ("logs", "PutLogEvents"),
    ("logs", "FilterLogEvents"),
    ("logs", "CreateLogGroup"),
    ("logs", "DescribeLogStreams"),
    ("logs", "GetLogEvents"),
    ("sagemaker", "CreateCluster"),
    ("sagemaker", "UpdateCluster"),
    ("sagemaker", "DescribeCluster"),
    ("sagemaker", "ListClusters"),
    ("sagemaker", "ListClusterNodes"),
    ("sagemaker", "DescribeClusterNode"),
    ("sagemaker", "ListClusterEvents"),
    ("sagemaker", "BatchReplaceClusterNodes"),
    ("ssm", "SendCommand"),
    ("ssm", "GetCommandInvocation"),
    ("sqs", "SendMessage"),
    ("sqs", "ReceiveMessage"),
    ("cloudcontrol", "CreateResource"),
    ("sts", "GetCallerIdentity"),
    ("sts", "GetSessionToken"),
    ("sns", "CreateTopic"),
    ("sns", "Publish"),
    ("sns", "PublishBatch"),
    ("sns", "SetSubscriptionAttributes"),
    ("sns", "ListTopics"),
    ("sns", "GetTopicAttributes"),
    *(("chatbot", name) for name in sorted(model_of("chatbot").operation_names)),
    ("scheduler", "CreateSchedule"),
    ("scheduler", "ListSchedules"),
    ("scheduler", "UntagResource"),
    ("appconfig", "StopDeployment"),
    ("securityhub", "DeleteActionTarget"),
    ("entityresolution", "BatchDeleteUniqueId"),
    ("amp", "ListScrapers"),
]

QUICK = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
        HealthCheck.large_base_example,
    ],
    database=None,
    phases=(Phase.generate,),  # shrinking a cluster takes longer than reading it
)


def same(service: str, left: Any, right: Any) -> bool:
    return bool(pruned(left) == pruned(right) if protocol_of(service) == "query" else left == right)


@pytest.mark.parametrize(("service", "operation"), OPERATIONS)
@QUICK
@given(data=st.data())
def test_what_botocore_sends_is_what_we_read(service: str, operation: str, data: st.DataObject) -> None:
    members = data.draw(inputs(service, operation))
    request = serialized(service, operation, members)
    call = WIRE.resolve(request, model_of(service).signing_name)
    assert (call.service, call.operation) == (service, operation)
    assert same(service, WIRE.read(call, request), members)


@pytest.mark.parametrize(("service", "operation"), OPERATIONS)
@QUICK
@given(data=st.data())
def test_what_we_write_is_what_botocore_reads(service: str, operation: str, data: st.DataObject) -> None:
    result = data.draw(results(service, operation))
    response = WIRE.write(Call(service, operation, protocol_of(service)), result, "the-request")
    found = understood(service, operation, response)
    assert found.pop("ResponseMetadata")["RequestId"] == "the-request"
    assert response.status == success_of(service, operation)
    assert same(service, found, result)
