"""The services and edges of one world, each made when the first other part asks for it.

Parts that need each other reach through a lambda. What people and programs come in by is in entrance.py.
"""

import random
import secrets
import ssl
from collections.abc import Sequence
from functools import cached_property

import aiohttp
from msgspec import Struct

from tocsin.backends.cloudwatch import CloudWatchAlarms
from tocsin.backends.extension_folders import ExtensionFolders
from tocsin.backends.folders import BucketFolders
from tocsin.backends.sqlite import SqliteStore
from tocsin.core.cards.hyperpod import INVESTIGATION
from tocsin.core.commit import World
from tocsin.core.faults import Catalogue
from tocsin.core.tickets import key_of
from tocsin.doors.bundles import Bundles
from tocsin.doors.cloudcontrol import Requests, Watching
from tocsin.doors.links import Links
from tocsin.doors.node_files import NodeFiles
from tocsin.doors.nodes import NodesDoor
from tocsin.doors.upstream import Upstream
from tocsin.machines.held import HeldMachines
from tocsin.model.command import Invocation
from tocsin.model.health import Mark
from tocsin.model.names import API_DESTINATION, Scope
from tocsin.model.times import epoch_ms
from tocsin.orchestrators.slurm import Slurm
from tocsin.ports import Carrier, InsideTarget
from tocsin.server.chance import Chance
from tocsin.server.chats import Chatting, chat_carriers, read_chat
from tocsin.server.clock import SystemClock
from tocsin.server.keep import kept
from tocsin.server.providers import PROVIDERS, Provider, Surroundings
from tocsin.server.settings import Settings
from tocsin.services.alarms import Alarms
from tocsin.services.bus import Bus
from tocsin.services.chats import Chats
from tocsin.services.commands import Commands, Documents, Drafting, Hearing, Output, Telling
from tocsin.services.connections import Connections
from tocsin.services.digests import Digests
from tocsin.services.drains import DrainService
from tocsin.services.extensions import Extensions
from tocsin.services.fleet import Fleet
from tocsin.services.housekeeping import Housekeeping
from tocsin.services.injections import Injections
from tocsin.services.investigations import Investigations, Invitations
from tocsin.services.mishaps import Mishaps
from tocsin.services.noise import Noise
from tocsin.services.onlookers import Onlookers
from tocsin.services.outbox import Outbox
from tocsin.services.outcomes import Outcomes
from tocsin.services.queues import Queues
from tocsin.services.replays import Replays
from tocsin.services.schedules import Schedules
from tocsin.services.sickness import Sickness
from tocsin.services.topics import Signer, Topics
from tocsin.services.topics.fanout import HTTP_CARRIER
from tocsin.services.topics.mailing import CARRIER as MAIL_CARRIER
from tocsin.services.topics.signing import made
from tocsin.services.upstream_alarms import UpstreamAlarms
from tocsin.targets.api_destinations import ApiDestinations, ApiDestinationTargets
from tocsin.targets.buses import BusTargets
from tocsin.targets.commands import CommandTargets
from tocsin.targets.loggroups import LogGroups
from tocsin.targets.mail import MailCarrier
from tocsin.targets.oauth import Tokens
from tocsin.targets.queues import DeadLetterQueues, QueueTargets
from tocsin.targets.subscribed import Subscribed
from tocsin.targets.topics import TopicTargets
from tocsin.targets.topics_http import EndpointCarrier


class Ground(Struct, frozen=True):
    """What outlives a world: the address we are at, the server behind us, and what takes long to read."""

    endpoint: str
    upstream: Upstream | None
    certificates: ssl.SSLContext
    catalogue: Catalogue


class Parts:
    def __init__(self, settings: Settings, store: SqliteStore, session: aiohttp.ClientSession, ground: Ground) -> None:
        self.settings = settings
        self.store = store
        self.session = session
        self.ground = ground
        self.clock = SystemClock()
        self.chance = Chance()
        self.links = Links()

    # Machines and clusters.

    @cached_property
    def around(self) -> Surroundings:
        return Surroundings(
            endpoint=self.ground.endpoint,
            links=self.links,
            store=self.store,
            clock=self.clock,
            changed=lambda instance_id: self.fleet.changed(instance_id),
            take=lambda instance_id, report: self.nodes.take(instance_id, report),
            heard_through=lambda instance_id: self.fleet.heard_through(instance_id),
            node=lambda instance_id: self.fleet.node(instance_id),
            new_id=self.chance.request_id,
            catalogue=self.ground.catalogue,
        )

    @cached_property
    def provider(self) -> Provider:
        return PROVIDERS[self.settings.machines.provider](self.settings, self.around)

    @cached_property
    def mishaps(self) -> Mishaps:
        return Mishaps(self.store, self.clock, self.chance.request_id)

    @cached_property
    def alarms(self) -> Alarms:
        return Alarms(self.store, self.clock, lambda scope: self.fleet.look_again(scope))

    @cached_property
    def secret(self) -> bytes:
        """What agents' tokens and tickets are made from."""
        return kept(self.settings.data / "secret", lambda: secrets.token_bytes(32))

    @cached_property
    def fleet(self) -> Fleet:
        return Fleet(
            store=self.store,
            machines=HeldMachines(self.provider.machines, self.around.changed),
            links=self.provider.links,
            clock=self.clock,
            policy=self.settings.fleet,
            secret=self.secret,
            catalogue=self.ground.catalogue,
            mishaps=self.mishaps,
            health=self.settings.health,
            ringing=self._ringing,
            free=lambda: self.drains.free if self.settings.slurm.enabled else None,
            idle=lambda: self.drains.idle if self.settings.slurm.enabled else frozenset(),
            jobs=lambda: self.drains.jobs if self.settings.slurm.enabled else None,
            reached=lambda: self.drains.reached if self.settings.slurm.enabled else {},
            looked_at=lambda: self.onlookers.looked_at,
            moved=self._moved,
            domain=self.provider.domain,
            past=self._past,
        )

    @cached_property
    def upstream_alarms(self) -> UpstreamAlarms | None:
        """Where there is an upstream to be asked."""
        if self.ground.upstream is None:
            return None
        return UpstreamAlarms(
            CloudWatchAlarms(self.ground.upstream.url),
            nodes=self.fleet,
            store=self.store,
            clock=self.clock,
            known=lambda scope: [alarm.name for alarm in self.alarms.of(scope)],
            changed=self.fleet.look_again,
        )

    def _ringing(self, scope: Scope) -> frozenset[str]:
        elsewhere = self.upstream_alarms.ringing(scope) if self.upstream_alarms else frozenset()
        return self.alarms.ringing(scope) | elsewhere

    def _moved(self, before: World | None, after: World | None, touched: Sequence[str]) -> None:
        """Those who follow clusters from beside the fleet."""
        self.cloud_watching.moved(before, after)
        self.extensions.moved(before, after, touched)
        self.onlookers.moved(after, touched)
        if self.upstream_alarms:
            self.upstream_alarms.moved(before, after)
        self.sickness.moved(before, after, touched)
        if self.settings.slurm.enabled:
            self.drains.moved(before, after, touched)

    def _over(self, invocation: Invocation) -> None:
        """Those who follow commands."""
        self.extensions.over(invocation)
        self.onlookers.ended(invocation.instance_id)

    @cached_property
    def packages(self) -> ExtensionFolders:
        return ExtensionFolders(self.settings.extensions)

    @cached_property
    def extensions(self) -> Extensions:
        health_s = self.settings.extension_health_s
        return Extensions(self.store, self.fleet, self.commands, self.provider.links, self.clock, health_s)

    @cached_property
    def cloud_requests(self) -> Requests:
        return Requests(self.store, self.chance.request_id)

    @cached_property
    def cloud_watching(self) -> Watching:
        return Watching(self.cloud_requests, self.store, self.clock)

    def _past(self, instance_id: str) -> tuple[Mark, ...]:
        host = self.provider.hosts.of_instance(instance_id) if self.provider.hosts else None
        return host.history if host else ()

    @cached_property
    def onlookers(self) -> Onlookers:
        return Onlookers(
            store=self.store,
            clock=self.clock,
            routed=lambda place: self.bus.routed(place),
            commanded=lambda instance_id: self.commands.of_rules(instance_id),
            changed=lambda instance_id: self.fleet.changed(instance_id),
        )

    @cached_property
    def sickness(self) -> Sickness:
        return Sickness(lambda: epoch_ms(self.clock.now()))

    @cached_property
    def drains(self) -> DrainService:
        settings = self.settings
        return DrainService(
            *(self.fleet, Slurm(settings.slurm.conf), self.clock, settings.slurm),
            silence=settings.fleet,
            catalogue=self.ground.catalogue,
        )

    @cached_property
    def injections(self) -> Injections:
        fleet = self.fleet
        return Injections(
            *(self.store, self.provider.links, self.clock, self.chance.request_id),
            keep=fleet.keep,
            there=lambda instance_id: fleet.node(instance_id) is not None,
        )

    @cached_property
    def nodes(self) -> NodesDoor:
        return NodesDoor(
            fleet=self.fleet,
            commands=self.commands,
            injections=self.injections,
            extensions=self.extensions,
            links=self.links,
            store=self.store,
            clock=self.clock,
            beat_interval_s=self.settings.fleet.beat_interval_s,
            catalogue=self.ground.catalogue,
            expect_gpus=self.settings.health.expect_gpus,
        )

    @cached_property
    def node_files(self) -> NodeFiles:
        upstream = self.ground.upstream
        bundles = Bundles(self.settings.s3, upstream.url if upstream else None)
        return NodeFiles(self.fleet, bundles, self.injections)

    # The bus and what it delivers to.

    @cached_property
    def bus(self) -> Bus:
        return Bus(
            store=self.store,
            clock=self.clock,
            targets=self.targets,
            dead_letters=self.dead_letters,
            rules_changed=self.schedules.changed,
            demand_room=self.outbox.demand_room,
            unrouted_max=self.settings.events.unrouted_max,
            noise=self.noise,
        )

    @cached_property
    def targets(self) -> dict[str, InsideTarget]:
        """By their ARN's service."""
        return {
            "logs": LogGroups(self.store, granted=self.settings.events.grant_log_groups),
            "sqs": QueueTargets(self.queues),
            "events": BusTargets(self.store),
            "sns": TopicTargets(self.topics),
            "ssm": CommandTargets(self.commands, self.drafting),
            API_DESTINATION: ApiDestinationTargets(self.store, self.outbox),
        }

    @cached_property
    def dead_letters(self) -> DeadLetterQueues:
        return DeadLetterQueues(self.queues)

    @cached_property
    def queues(self) -> Queues:
        return Queues(
            store=self.store, clock=self.clock, endpoint=lambda: self.ground.endpoint, new_id=self.chance.request_id
        )

    @cached_property
    def schedules(self) -> Schedules:
        return Schedules(self.store, self.clock)

    @cached_property
    def noise(self) -> Noise:
        return Noise(self.store)

    @cached_property
    def digests(self) -> Digests:
        return Digests(noise=self.noise, bus=self.bus, store=self.store, clock=self.clock)

    @cached_property
    def replays(self) -> Replays:
        return Replays(self.store, self.clock, lambda: self.outbox.full)

    @cached_property
    def housekeeping(self) -> Housekeeping:
        return Housekeeping(self.store, self.clock, self.settings.housekeeping)

    # What goes outside.

    @cached_property
    def outbox(self) -> Outbox:
        carriers: dict[str, Carrier] = {
            API_DESTINATION: ApiDestinations(self.store, self.clock, self.session, self.tokens),
            HTTP_CARRIER: Subscribed(self.endpoints, self.store),
            MAIL_CARRIER: Subscribed(self.mails, self.store),
            **chat_carriers(self.settings.chat, self.chatting, self.store, self.clock, self.session),
        }
        return Outbox(
            store=self.store,
            clock=self.clock,
            carriers=self.outcomes.tapped(carriers),
            dead_letters=self.dead_letters,
            limits=self.settings.outbox,
            chance=random.random,
            epilogue=lambda *end: self.topics.feedback.of_outbound(*end),
        )

    @cached_property
    def outcomes(self) -> Outcomes:
        return Outcomes(self.store)

    @cached_property
    def tokens(self) -> Tokens:
        return Tokens(self.session, self.clock)

    @cached_property
    def connections(self) -> Connections:
        return Connections(self.store, self.clock, self.tokens, self.chance.request_id)

    @cached_property
    def mails(self) -> MailCarrier:
        return MailCarrier(self.settings.mail, self.clock.now)

    @cached_property
    def endpoints(self) -> EndpointCarrier:
        return EndpointCarrier(self.session, self.clock)

    @cached_property
    def chatting(self) -> Chatting:
        return read_chat(self.settings.chat)

    @cached_property
    def chats(self) -> Chats:
        return Chats(
            store=self.store,
            clock=self.clock,
            arrived=lambda some: self.outbox.arrived(some),
            console_link=self.settings.chat.console_link,
            elsewhere=self.chatting.elsewhere.by_topic,
            invited=self.invitations.to,
            document=self.settings.chat.investigate or INVESTIGATION,
            per_minute=self.settings.chat.posts_per_minute,
        )

    @cached_property
    def invitations(self) -> Invitations:
        return Invitations(key=key_of(self.secret), address=self.address, document=self.settings.chat.investigate)

    def address(self) -> str:
        """Where readers of messages reach this server."""
        return self.settings.public_url.rstrip("/") or self.ground.endpoint

    @cached_property
    def topics(self) -> Topics:
        return Topics(
            store=self.store,
            clock=self.clock,
            queues=self.queues,
            signer=Signer(lambda: kept(self.settings.data / "sns-signing.pem", made)),
            address=self.address,
            new_id=self.chance.request_id,
            wake=lambda some: self.outbox.arrived(some),
            limits=self.settings.topics,
            demand_room=lambda: self.outbox.demand_room(),
            listeners=self.chats,
            console_link=self.settings.chat.console_link,
            document=self.settings.chat.investigate or INVESTIGATION,
        )

    # Run Command.

    @cached_property
    def documents(self) -> Documents:
        return Documents(self.store)

    @cached_property
    def buckets(self) -> BucketFolders:
        return BucketFolders(self.settings.s3)

    @cached_property
    def drafting(self) -> Drafting:
        return Drafting(
            store=self.store,
            nodes=self.fleet,
            documents=self.documents,
            buckets=self.buckets,
            new_id=self.chance.event_id,
        )

    @cached_property
    def investigations(self) -> Investigations:
        return Investigations(
            store=self.store,
            clock=self.clock,
            nodes=self.fleet,
            commands=self.commands,
            documents=self.documents,
            invitations=self.invitations,
        )

    @cached_property
    def commands(self) -> Commands:
        telling, output = Telling(self.fleet, self.topics), Output(self.store, self.clock, self.buckets)
        return Commands(
            store=self.store,
            clock=self.clock,
            nodes=self.fleet,
            links=self.provider.links,
            drafting=self.drafting,
            telling=telling,
            hearing=Hearing(self.store, self.clock, self.fleet, telling, output),
            limits=self.settings.commands,
            over=self._over,
        )
