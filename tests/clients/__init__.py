"""Real clients of HyperPod that setup.sh installs beside the project's environment, and how they are run: unmodified,
with nothing but an endpoint."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import WAIT_S, RunningServer, cli_environment

_BIN = Path(sys.executable).parent
# They tell AWS of their use, whatever the endpoint. Not from here: no proxy listens there.
_NOWHERE = "http://127.0.0.1:9"


def _installed(name: str) -> Path:
    return Path(sys.prefix) / "clients" / name


def needs(name: str) -> pytest.MarkDecorator:
    there = (_installed(name) / "made-of.lock").exists()
    return pytest.mark.skipif(not there, reason=f"no {name}: sh tests/setup.sh installs it")


def run(
    name: str, *command: str, server: RunningServer, account: str, home: Path
) -> "subprocess.CompletedProcess[str]":
    """`command` is a script of the client's own, or a file of ours that imports it, with its arguments."""
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        timeout=4 * WAIT_S,
        check=False,
        env={
            **cli_environment(account),
            "AWS_ENDPOINT_URL": server.endpoint,
            "HOME": str(home),
            "HTTPS_PROXY": _NOWHERE,
            "NO_PROXY": "127.0.0.1",
            "PATH": f"{_BIN}:{os.defpath}",
            "PYTHONPATH": str(_installed(name)),
        },
    )


def hyp(*arguments: str, server: RunningServer, account: str, home: Path) -> "subprocess.CompletedProcess[str]":
    script = str(_installed("hyp") / "bin" / "hyp")
    return run("hyp", script, *arguments, server=server, account=account, home=home)
