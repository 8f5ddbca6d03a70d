"""All kinds of records that the store may hold."""

from tocsin.model.alarm import Alarm
from tocsin.model.archive import Archive, Replay
from tocsin.model.bus import EventBus
from tocsin.model.chat import ChatConfiguration, ChatPreferences, ChatThread
from tocsin.model.cloud import ResourceRequest, SentModel
from tocsin.model.cluster import Cluster, Node, NodeCursor
from tocsin.model.cluster_event import ClusterEvent
from tocsin.model.command import Command, Document, Invocation, StepOutput
from tocsin.model.connection import ApiDestination, Connection, Credentials
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

KINDS: tuple[type[Record], ...] = (
    *(Cluster, Node, NodeCursor, ClusterEvent, Alarm, Mishap, Injection, Host, JoinToken),
    *(SchedulerConfig, ComputeQuota),
    *(EventBus, Rule, Archive, Replay, NoiseSetting, Window, Connection, Credentials, ApiDestination, Outbound),
    *(LogGroup, LogPolicy, Queue, QueueMessage, Tags),
    *(Topic, Subscription, Publication, HeldMail),
    *(ChatConfiguration, ChatPreferences, ChatThread),
    *(Document, Command, Invocation, StepOutput),
    *(ResourceRequest, SentModel),
)
