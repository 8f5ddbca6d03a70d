"""Our own API, outside AWS's namespace: what the CLI shows. JSON under /_tocsin/v1, and the health probes.

Every answer is of one scope, which the front puts beside the request.
"""

from collections.abc import Callable

from starlette.routing import BaseRoute, Route

from tocsin.core.faults import Catalogue, HealthPolicy
from tocsin.doors.own.alarms import AlarmStates
from tocsin.doors.own.channels import Channels
from tocsin.doors.own.deliveries import Deliveries
from tocsin.doors.own.events import Events
from tocsin.doors.own.explain import Explain
from tocsin.doors.own.faults import Faults
from tocsin.doors.own.health import NodeHealth
from tocsin.doors.own.hosts import HostsApi
from tocsin.doors.own.injections import NodeFaults
from tocsin.doors.own.noise import NoiseControl
from tocsin.doors.own.notify import Notify
from tocsin.doors.own.publishing import Publishing
from tocsin.doors.own.status import Status
from tocsin.doors.own.story import Story
from tocsin.model.chat import ChatConfiguration
from tocsin.ports import Clock, Store
from tocsin.services.alarms import Alarms
from tocsin.services.bus import Bus
from tocsin.services.chats import Chats
from tocsin.services.fleet import Fleet
from tocsin.services.injections import Injections
from tocsin.services.mishaps import Mishaps
from tocsin.services.noise import Noise
from tocsin.services.outbox import Outbox
from tocsin.services.outcomes import Outcomes
from tocsin.services.trials import Trials


class OwnDoor:
    """`new_event_id` gives a fresh event id; it is told the time in epoch milliseconds. `posted_by` says how a chat
    configuration is posted to."""

    def __init__(
        self,
        *,
        fleet: Fleet,
        bus: Bus,
        outbox: Outbox,
        noise: Noise,
        store: Store,
        clock: Clock,
        new_event_id: Callable[[int], str],
        log_groups_granted: bool,
        mishaps: Mishaps,
        hosts: HostsApi,
        alarms: Alarms,
        trials: Trials,
        outcomes: Outcomes,
        catalogue: Catalogue,
        health: HealthPolicy,
        injections: Injections,
        chats: Chats,
        posted_by: Callable[[ChatConfiguration], str],
    ) -> None:
        self._status = Status(fleet, bus, store)
        self._deliveries = Deliveries(outbox)
        self._events = Events(store)
        self._publishing = Publishing(store, bus, clock, new_event_id)
        self._explain = Explain(store, bus, noise, outbox, posted_by=posted_by, log_groups_granted=log_groups_granted)
        self._noise = NoiseControl(store, bus, noise)
        self._story = Story(store)
        self._faults = Faults(mishaps)
        self._hosts = hosts
        self._alarms = AlarmStates(alarms)
        self._notify = Notify(trials, outcomes)
        self._health = NodeHealth(fleet, clock, catalogue, health)
        self._injections = NodeFaults(fleet, injections, catalogue)
        self._channels = Channels(store, chats, posted_by)

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/healthz", self._status.alive),
            Route("/readyz", self._status.ready),
            Route("/_tocsin/v1/status", self._status.status),
            Route("/_tocsin/v1/events", self._events.events),
            Route("/_tocsin/v1/events", self._publishing.publish, methods=["POST"]),
            Route("/_tocsin/v1/explain", self._explain.explain),
            Route("/_tocsin/v1/noise", self._noise.controls),
            Route("/_tocsin/v1/noise", self._noise.set, methods=["POST"]),
            Route("/_tocsin/v1/deliveries", self._deliveries.lanes),
            Route("/_tocsin/v1/story", self._story.story),
            Route("/_tocsin/v1/injections", self._injections.listed),
            Route("/_tocsin/v1/injections", self._injections.put_in, methods=["POST"]),
            Route("/_tocsin/v1/injections", self._injections.take_out, methods=["DELETE"]),
            Route("/_tocsin/v1/health", self._health.listed),
            Route("/_tocsin/v1/health", self._health.act, methods=["POST"]),
            Route("/_tocsin/v1/alarms", self._alarms.listed),
            Route("/_tocsin/v1/alarms", self._alarms.set, methods=["POST"]),
            Route("/_tocsin/v1/channels", self._channels.listed),
            Route("/_tocsin/v1/faults", self._faults.listed),
            Route("/_tocsin/v1/faults", self._faults.plan, methods=["POST"]),
            Route("/_tocsin/v1/faults", self._faults.clear, methods=["DELETE"]),
            Route("/_tocsin/v1/hosts", self._hosts.listed),
            Route("/_tocsin/v1/hosts/release", self._hosts.release, methods=["POST"]),
            Route("/_tocsin/v1/hosts/forget", self._hosts.forget, methods=["POST"]),
            Route("/_tocsin/v1/hosts/tokens", self._hosts.tokens),
            Route("/_tocsin/v1/hosts/tokens", self._hosts.create_token, methods=["POST"]),
            Route("/_tocsin/v1/hosts/tokens", self._hosts.revoke_token, methods=["DELETE"]),
            Route("/_tocsin/v1/notify", self._notify.send, methods=["POST"]),
            Route("/_tocsin/v1/outbounds", self._notify.outbounds),
        ]


__all__ = ["OwnDoor"]
