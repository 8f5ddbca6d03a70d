"""All kinds of records that the store may hold, by the service they belong to."""

from typing import Any

import msgspec

from tocsin.model.alarm import Alarm
from tocsin.model.archive import Archive, Replay
from tocsin.model.bus import EventBus
from tocsin.model.chat import ChatConfiguration, ChatPreferences, ChatThread, HeldPost
from tocsin.model.cloud import ResourceRequest, SentModel
from tocsin.model.cluster import Cluster, Node, NodeCursor
from tocsin.model.cluster_event import ClusterEvent
from tocsin.model.command import Command, Document, Investigation, Invocation, StepOutput
from tocsin.model.connection import ApiDestination, Connection, Credentials
from tocsin.model.extension import Extension, ExtensionNode
from tocsin.model.governance import ComputeQuota, SchedulerConfig
from tocsin.model.host import Host, JoinToken
from tocsin.model.injection import Injection
from tocsin.model.logs import LogGroup, LogPolicy
from tocsin.model.mishap import Mishap
from tocsin.model.noise import NoiseSetting, Window
from tocsin.model.outbound import Outbound
from tocsin.model.queue import Queue, QueueMessage
from tocsin.model.records import Record
from tocsin.model.rule import Rule
from tocsin.model.tags import Tags
from tocsin.model.topic import HeldMail, Publication, Subscription, Topic
from tocsin.ports import Store

OF_SERVICE: dict[str, tuple[type[Record], ...]] = {
    "sagemaker": (Cluster, Node, ClusterEvent, SchedulerConfig, ComputeQuota, Extension, ExtensionNode),
    "events": (EventBus, Rule, Archive, Replay, Connection, ApiDestination, Tags),
    "logs": (LogGroup, LogPolicy),
    "sqs": (Queue, QueueMessage),
    "sns": (Topic, Subscription),
    "chatbot": (ChatPreferences,),
    "ssm": (Document, Command, Invocation, StepOutput),
    "cloudcontrol": (ResourceRequest,),
    "tocsin": (Alarm, Mishap, Injection, NoiseSetting),
}
# What is ours alone, or secret.
INNER: tuple[type[Record], ...] = (
    *(NodeCursor, ChatConfiguration, Host, JoinToken, Window, Credentials, Outbound),
    *(Publication, HeldMail, HeldPost, ChatThread, SentModel, Investigation),
)
KINDS: tuple[type[Record], ...] = (*(kind for kinds in OF_SERVICE.values() for kind in kinds), *INNER)


async def inventory(store: Store) -> dict[str, dict[str, list[Any]]]:
    """Every record that is no secret, by service and kind, of all accounts and regions."""
    return {
        service: {kind.__name__: [msgspec.to_builtins(one) for one in await store.find(kind)] for kind in kinds}
        for service, kinds in OF_SERVICE.items()
    }
