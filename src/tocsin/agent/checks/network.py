"""Network interfaces, InfiniBand ports and EFA devices, from /sys. Counters are held against their first reading."""

from collections.abc import Iterable
from pathlib import Path

from tocsin.model.health import Reading

ACTIVE = "4:"  # of "4: ACTIVE", the state of an InfiniBand port
IFF_UP = 0x1
LINK_ERRORS = ("link_downed", "excessive_buffer_overrun_errors", "local_link_integrity_errors")
EFA_ERRORS = (
    "rx_drops",
    "rdma_read_wr_err",
    "rdma_write_wr_err",
    "unresponsive_remote_events",
    "impaired_remote_conn_events",
    "retrans_timeout_events",
)


class Network:
    """Remembers which links were up: one that never was has no cable, and is nobody's fault."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._interfaces = root / "sys/class/net"
        self._fabrics = root / "sys/class/infiniband"
        self.seen_up: set[str] = set()

    def read(self, at_ms: int) -> list[Reading]:
        readings: list[Reading] = []
        for place in _entries(self._interfaces):
            if (place / "device").exists():  # bridges and veths are not hardware
                readings += self._interface(place, at_ms)
        for device in _entries(self._fabrics):
            for port in _entries(device / "ports"):
                readings += self._port(device, port, at_ms)
        return readings

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
        if _text(port / "link_layer") in ("", "InfiniBand"):
            yield from self._link("ib.down", name, _text(port / "state").startswith(ACTIVE), at_ms)
        lost = [counters[one] for one in LINK_ERRORS if one in counters]
        if lost:
            yield _counter("ib.link_errors", name, sum(lost), "link errors", at_ms)
        if "symbol_error" in counters:
            yield _counter("ib.symbol_errors", name, counters["symbol_error"], "symbol errors", at_ms)

    def _link(self, check: str, name: str, up: bool, at_ms: int) -> Iterable[Reading]:
        if up:
            self.seen_up.add(name)
        if name in self.seen_up:
            words = f"{name} is {'up' if up else 'down'}"
            yield Reading(check=check, subject=name, value=0 if up else 1, at_ms=at_ms, text=words)


def _efa(name: str, counters: dict[str, int], at_ms: int) -> Iterable[Reading]:
    yield _counter("efa.no_completion_cmds", name, counters["no_completion_cmds"], "commands without an end", at_ms)
    yield _counter("efa.errors", name, sum(counters.get(one, 0) for one in EFA_ERRORS), "errors", at_ms)


def _counter(check: str, name: str, value: int, what: str, at_ms: int) -> Reading:
    return Reading(check=check, subject=name, value=value, at_ms=at_ms, text=f"{name} has {value} {what} so far")


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


def _text(place: Path) -> str:
    """What a file of /sys says; "" where it says nothing: reading the carrier of an interface that is off fails."""
    try:
        return place.read_text().strip()
    except OSError:
        return ""
