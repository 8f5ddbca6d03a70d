"""The types of resources there are, as data: properties, identifiers, what is read-only and what is fixed once made.

Source: the public CloudFormation resource schemas (facts/hyperpod.md §7); clusters take what CreateCluster takes.
"""

from tocsin.core.cloud.schema import ARRAY, BOOLEAN, INTEGER, OBJECT, STRING, Schema

_GROUPS = ("InstanceGroups", "RestrictedInstanceGroups")
_FIXED_OF_GROUPS = ("OverrideVpcConfig", "ExecutionRole", "InstanceGroupName", "InstanceType", "ThreadsPerCore")
_TAGS = {"Tags": (ARRAY,)}
_DOCUMENT = (OBJECT, STRING)

CLUSTER = Schema(
    type_name="AWS::SageMaker::Cluster",
    identifier="ClusterArn",
    others=("ClusterName",),
    named="ClusterName",
    properties={
        "ClusterName": (STRING,),
        "InstanceGroups": (ARRAY,),
        "RestrictedInstanceGroups": (ARRAY,),
        "RestrictedInstanceGroupsConfig": (OBJECT,),
        "VpcConfig": (OBJECT,),
        "Orchestrator": (OBJECT,),
        "NodeRecovery": (STRING,),
        "ClusterRole": (STRING,),
        "NodeProvisioningMode": (STRING,),
        "AutoScaling": (OBJECT,),
        "TieredStorageConfig": (OBJECT,),
        "ClusterArn": (STRING,),
        "CreationTime": (STRING,),
        "ClusterStatus": (STRING,),
        "FailureMessage": (STRING,),
        **_TAGS,
    },
    read_only=(
        *("ClusterArn", "CreationTime", "ClusterStatus", "FailureMessage"),
        *(f"{groups}/*/CurrentCount" for groups in _GROUPS),
    ),
    create_only=(
        *("ClusterName", "VpcConfig", "Orchestrator"),
        *(f"{groups}/*/{name}" for groups in _GROUPS for name in _FIXED_OF_GROUPS),
    ),
    keys={"Tags": "Key"} | dict.fromkeys(_GROUPS, "InstanceGroupName"),
    derived=frozenset(f"{groups}/*/{name}" for groups in _GROUPS for name in ("ThreadsPerCore", "ImageId")),
)

RULE = Schema(
    type_name="AWS::Events::Rule",
    identifier="Arn",
    named="Name",
    properties={
        "Name": (STRING,),
        "EventBusName": (STRING,),
        "EventPattern": _DOCUMENT,
        "ScheduleExpression": (STRING,),
        "Description": (STRING,),
        "State": (STRING,),
        "RoleArn": (STRING,),
        "Targets": (ARRAY,),
        "Arn": (STRING,),
        **_TAGS,
    },
    read_only=("Arn",),
    create_only=("Name", "EventBusName"),
    keys={"Tags": "Key", "Targets": "Id"},
    defaults={"State": "ENABLED", "EventBusName": "default"},
)

BUS = Schema(
    type_name="AWS::Events::EventBus",
    identifier="Name",
    named="Name",
    properties={
        "Name": (STRING,),
        "EventSourceName": (STRING,),
        "Description": (STRING,),
        "KmsKeyIdentifier": (STRING,),
        "DeadLetterConfig": (OBJECT,),
        "LogConfig": (OBJECT,),
        "Policy": _DOCUMENT,
        "Arn": (STRING,),
        **_TAGS,
    },
    required=("Name",),
    read_only=("Arn",),
    create_only=("Name",),
    write_only=("EventSourceName",),
    keys={"Tags": "Key"},
)

LOG_GROUP = Schema(
    type_name="AWS::Logs::LogGroup",
    identifier="LogGroupName",
    named="LogGroupName",
    properties={
        "LogGroupName": (STRING,),
        "KmsKeyId": (STRING,),
        "RetentionInDays": (INTEGER,),
        "LogGroupClass": (STRING,),
        "DeletionProtectionEnabled": (BOOLEAN,),
        "DataProtectionPolicy": (OBJECT,),
        "Arn": (STRING,),
        **_TAGS,
    },
    read_only=("Arn",),
    create_only=("LogGroupName", "LogGroupClass"),
    keys={"Tags": "Key"},
    defaults={"LogGroupClass": "STANDARD", "DeletionProtectionEnabled": False},
)

TOPIC = Schema(
    type_name="AWS::SNS::Topic",
    identifier="TopicArn",
    named="TopicName",
    properties={
        "TopicName": (STRING,),
        "DisplayName": (STRING,),
        "KmsMasterKeyId": (STRING,),
        "SignatureVersion": (STRING,),
        "TracingConfig": (STRING,),
        "FifoTopic": (BOOLEAN,),
        "FifoThroughputScope": (STRING,),
        "ContentBasedDeduplication": (BOOLEAN,),
        "ArchivePolicy": (OBJECT,),
        "DataProtectionPolicy": (OBJECT,),
        "DeliveryStatusLogging": (ARRAY,),
        "Subscription": (ARRAY,),
        "TopicArn": (STRING,),
        **_TAGS,
    },
    read_only=("TopicArn",),
    create_only=("TopicName", "FifoTopic"),
    keys={"Tags": "Key", "DeliveryStatusLogging": "Protocol"},
    defaults={"DisplayName": "", "FifoTopic": False, "ContentBasedDeduplication": False},
    derived=frozenset({"Subscription"}),
)

QUEUE = Schema(
    type_name="AWS::SQS::Queue",
    identifier="QueueUrl",
    named="QueueName",
    properties={
        "QueueName": (STRING,),
        "FifoQueue": (BOOLEAN,),
        "ContentBasedDeduplication": (BOOLEAN,),
        "DeduplicationScope": (STRING,),
        "FifoThroughputLimit": (STRING,),
        "DelaySeconds": (INTEGER,),
        "VisibilityTimeout": (INTEGER,),
        "MaximumMessageSize": (INTEGER,),
        "MessageRetentionPeriod": (INTEGER,),
        "ReceiveMessageWaitTimeSeconds": (INTEGER,),
        "KmsMasterKeyId": (STRING,),
        "KmsDataKeyReusePeriodSeconds": (INTEGER,),
        "SqsManagedSseEnabled": (BOOLEAN,),
        "RedrivePolicy": _DOCUMENT,
        "RedriveAllowPolicy": _DOCUMENT,
        "QueueUrl": (STRING,),
        "Arn": (STRING,),
        **_TAGS,
    },
    read_only=("QueueUrl", "Arn"),
    create_only=("FifoQueue", "QueueName"),
    keys={"Tags": "Key"},
    defaults={
        "FifoQueue": False,
        "ContentBasedDeduplication": False,
        "DeduplicationScope": "queue",
        "FifoThroughputLimit": "perQueue",
        "DelaySeconds": 0,
        "VisibilityTimeout": 30,
        "MaximumMessageSize": 1_048_576,
        "MessageRetentionPeriod": 345_600,
        "ReceiveMessageWaitTimeSeconds": 0,
    },
    derived=frozenset({"SqsManagedSseEnabled", "KmsDataKeyReusePeriodSeconds"}),
)
