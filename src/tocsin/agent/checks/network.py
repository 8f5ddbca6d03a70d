"""Network interfaces, InfiniBand ports and EFA devices, from /sys. Counters are held against their first reading."""

from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from tocsin.model.health import Reading

ACTIVE = "4:"  # of "4: ACTIVE", the state of an InfiniBand port
IFF_UP = 0x1
# A port that was down for less was negotiating (facts/health.md §1.5).
FLAP_DOWN_MS = 25_000
LINK_ERRORS = (
    "link_downed",
    "excessive_buffer_overrun_errors",
    "local_link_integrity_errors",
    "rnr_nak_retry_err",
)
# Counters of a port that are told one by one, by the reading that each is.
PORT_COUNTERS = {
    "symbol_error": "ib.symbol_errors",
    "link_error_recovery": "ib.recoveries",
    "port_rcv_errors": "ib.receive_errors",
    "port_xmit_discards": "ib.discards",
    "local_ack_timeout_err": "ib.ack_timeouts",
    "roce_slow_restart": "ib.slow_restarts",
}
EFA_ERRORS = (
    "rx_drops",
    "rdma_read_wr_err",
    "rdma_write_wr_err",
    "unresponsive_remote_events",
    "impaired_remote_conn_events",
    "retrans_timeout_events",
)
EFA_COUNTERS = {"retrans_pkts": "efa.retrans_packets", "retrans_bytes": "efa.retrans_bytes"}


class Port(Struct, kw_only=True):
    """What is remembered of a port: the best rate it had, since when it is down, and how often it came back."""

    rate: float = 0.0
    down_since_ms: int = 0
    returns: int = 0


class Promised(Struct, frozen=True):
    """How many ports of the node should be up, and at which speed (Gb/s). 0: nobody says."""

    ports: int = 0
    gbps: float = 0.0


NOTHING = Promised()


class Network:
    """Remembers which links were up: one that never was has no cable, and is nobody's fault, unless it is promised."""

    def __init__(self, root: Path = Path("/"), promised: Promised = NOTHING) -> None:
        self._promised = promised
        self._interfaces = root / "sys/class/net"
        self._fabrics = root / "sys/class/infiniband"
        self.seen_up: set[str] = set()
        self.ports: dict[str, Port] = {}

    def read(self, at_ms: int) -> list[Reading]:
        readings: list[Reading] = []
        for place in _entries(self._interfaces):
            if (place / "device").exists():  # bridges and veths are not hardware
                readings += self._interface(place, at_ms)
        ports = [(device, port) for device in _entries(self._fabrics) for port in _entries(device / "ports")]
        readings += [reading for device, port in ports for reading in self._port(device, port, at_ms)]
        readings += self._gone({f"{device.name}/{port.name}" for device, port in ports}, at_ms)
        return [*readings, *self._missing([port for _, port in ports], at_ms)]

    def made(self, names: Iterable[str], at_ms: int) -> list[Reading]:
        """Of interfaces that are no hardware."""
        return [one for name in sorted(names) for one in self._interface(self._interfaces / name, at_ms)]

    def _interface(self, place: Path, at_ms: int) -> Iterable[Reading]:
        name = place.name
        if int(_text(place / "flags") or "0", 16) & IFF_UP:
            yield from self._link("nic.down", name, _text(place / "carrier") == "1", at_ms)
        changes = _number(place / "carrier_changes")
        if changes is not None:
            words = f"{name} changed its carrier {changes} times so far"
            yield Reading(check="nic.carrier_changes", subject=name, value=changes, at_ms=at_ms, text=words)

    def _port(self, device: Path, port: Path, at_ms: int) -> Iterable[Reading]:
        name = f"{device.name}/{port.name}"
        counters = _numbers(port / "counters") | _numbers(port / "hw_counters")
        if "no_completion_cmds" in _numbers(device / "hw_counters") | counters:
            yield from _efa(name, _numbers(device / "hw_counters") | counters, at_ms)
            return
        up = _up(port)
        if _text(port / "link_layer") in ("", "InfiniBand"):
            yield from self._link("ib.down", name, up, at_ms)
        if name in self.seen_up or up:
            yield from self._steady(name, _text(port / "rate"), up=up, at_ms=at_ms)
        lost = [counters[one] for one in LINK_ERRORS if one in counters]
        if lost:
            yield _counter("ib.link_errors", name, sum(lost), "link errors", at_ms)
        for counter, check in PORT_COUNTERS.items():
            if counter in counters:
                yield _counter(check, name, counters[counter], counter, at_ms)

    def _steady(self, name: str, rate: str, *, up: bool, at_ms: int) -> Iterable[Reading]:
        """Whether the port stays up, and as fast as it was."""
        port = self.ports.setdefault(name, Port())
        if up and port.down_since_ms:
            port.returns += at_ms - port.down_since_ms >= FLAP_DOWN_MS
            port.down_since_ms = 0
        elif not up:
            port.down_since_ms = port.down_since_ms or at_ms
        yield _counter("ib.returns", name, port.returns, "returns after it was down", at_ms)
        speed = _leading(rate)
        if up and speed:
            port.rate = max(port.rate, speed)
            words = f"{name} runs at {speed:g} Gb/s, and did at {port.rate:g}"
            slow = 1 if speed < port.rate else 0
            yield Reading(check="ib.slow", subject=name, value=slow, at_ms=at_ms, text=words)

    def _gone(self, there: set[str], at_ms: int) -> list[Reading]:
        """Ports that were there on this boot, and whether they still are."""
        words = "{} is not there any more: its device is gone"
        return [
            Reading(
                check="ib.gone", subject=name, value=0 if name in there else 1, at_ms=at_ms, text=words.format(name)
            )
            for name in self.ports
        ]

    def _missing(self, ports: Iterable[Path], at_ms: int) -> Iterable[Reading]:
        """How many are not up, or not at their speed, of those that the node should have."""
        promised = self._promised
        if promised.ports:
            well = sum(_up(port) and _leading(_text(port / "rate")) >= promised.gbps for port in ports)
            speed = f" at {promised.gbps:g} Gb/s" if promised.gbps else ""
            words = f"{well} ports are up{speed}, and {promised.ports} should be"
            missing = max(0, promised.ports - well)
            yield Reading(check="ib.missing", subject="ports", value=missing, at_ms=at_ms, text=words)

    def _link(self, check: str, name: str, up: bool, at_ms: int) -> Iterable[Reading]:
        if up:
            self.seen_up.add(name)
        if name in self.seen_up:
            words = f"{name} is {'up' if up else 'down'}"
            yield Reading(check=check, subject=name, value=0 if up else 1, at_ms=at_ms, text=words)


def _efa(name: str, counters: dict[str, int], at_ms: int) -> Iterable[Reading]:
    yield _counter("efa.no_completion_cmds", name, counters["no_completion_cmds"], "commands without an end", at_ms)
    for counter in EFA_ERRORS:
        if counter in counters:
            yield _counter("efa.errors", f"{name} {counter}", counters[counter], "errors", at_ms)
    for counter, check in EFA_COUNTERS.items():
        if counter in counters:
            yield _counter(check, name, counters[counter], counter, at_ms)


def _counter(check: str, name: str, value: int, what: str, at_ms: int) -> Reading:
    return Reading(check=check, subject=name, value=value, at_ms=at_ms, text=f"{name} has {value} {what} so far")


def _up(port: Path) -> bool:
    return _text(port / "state").startswith(ACTIVE)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _numbers(folder: Path) -> dict[str, int]:
    read = {place.name: _number(place) for place in _entries(folder)}
    return {name: value for name, value in read.items() if value is not None}


def _number(place: Path) -> int | None:
    text = _text(place)
    return int(text) if text.isdecimal() else None


def _leading(text: str) -> float:
    """400 of "400 Gb/sec (4X NDR)"; 0 where no number begins it."""
    word = text.partition(" ")[0]
    return float(word) if word.replace(".", "", 1).isdecimal() else 0.0


def _text(place: Path) -> str:
    """What a file of /sys says; "" where it says nothing: reading the carrier of an interface that is off fails."""
    try:
        return place.read_text().strip()
    except OSError:
        return ""
