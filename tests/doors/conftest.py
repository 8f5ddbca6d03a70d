"""What several files of door tests ask for by name: an account's view of one service on the shared server."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.doors.aims import Outside
from tests.doors.bus import Bus
from tests.doors.cloud import Cloud
from tests.doors.endpoint import Endpoint, http_endpoint
from tests.doors.hyperpod import HyperPod
from tests.doors.shell import Shell, open_shell
from tests.doors.sns import Office
from tests.harness import RunningServer
from tests.peer import HttpPeer, http_peer


@pytest.fixture
def shell(server: RunningServer, account: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    return open_shell(server, account, monkeypatch, tmp_path)


@pytest.fixture
def pod(server: RunningServer, account: str) -> HyperPod:
    return HyperPod(server, account)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Opens the gate at which scripts that end in `waiting(tmp_path)` wait; it opens by itself when the test ends."""
    yield (tmp_path / "open").touch
    (tmp_path / "open").touch()


@pytest.fixture
def office(server: RunningServer, account: str) -> Office:
    return Office(server, account)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with http_endpoint() as opened:
        yield opened


@pytest.fixture
def peer() -> Iterator[HttpPeer]:
    with http_peer() as one:
        yield one


@pytest.fixture
def outside(server: RunningServer, account: str, peer: HttpPeer) -> Outside:
    return Outside(server, account, peer)


@pytest.fixture
def bus(server: RunningServer, account: str) -> Bus:
    return Bus(server, account)


@pytest.fixture
def cloud(server: RunningServer, account: str) -> Cloud:
    return Cloud(server, account)
