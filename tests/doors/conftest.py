"""What more than one file of door tests asks for by name."""

from pathlib import Path

import pytest

from tests.doors.shell import Shell, open_shell
from tests.harness import RunningServer


@pytest.fixture
def shell(server: RunningServer, account: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    return open_shell(server, account, monkeypatch, tmp_path)
