"""A real server in a process of its own, for tests that come in through the door."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

# As long as a test waits for anything. What goes well never takes it, not even on a machine with too much to do; what
# hangs is told after it, before pytest's own limit for a test ends the waiting without a word of what was waited for.
WAIT_S = 90.0
REGION = "us-west-2"
PORTS = range(20_000, 32_000, 2)  # Linux gives out 32768 and up by itself


# A node is not taken for lost because this machine has too much to do: what dies is seen at once all the same.
PATIENT = """
[fleet]
launch_timeout_s = 300
link_lost_grace_s = 60
heartbeat_timeout_s = 120
reconnect_grace_s = 120
"""


_started: list["RunningServer"] = []
_one_by_one = threading.Lock()  # boto3 does not make clients in several threads at once


class RunningServer:
    """`tocsin serve` on a free port. Its agents are ended with it unless it is told to detach them."""

    module = "tocsin"

    def __init__(self, data_dir: Path, *options: str, environment: Mapping[str, str] | None = None) -> None:
        self.data_dir = data_dir
        self.s3 = data_dir / "s3"
        where = ["--port", "0", "--data-dir", str(data_dir)]
        command = [sys.executable, "-m", self.module, "serve", *where, *options, *_patience(data_dir, options)]
        self.errors = data_dir.parent / f"{data_dir.name}.err"
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        _started.append(self)
        self.endpoint = self._ready()

    def _ready(self) -> str:
        lines: Queue[str] = Queue()
        stdout = self.process.stdout
        assert stdout is not None

        def read() -> None:
            for line in stdout:
                lines.put(line)

        self._reading = threading.Thread(target=read, daemon=True)
        self._reading.start()
        try:
            line = lines.get(timeout=WAIT_S)
        except Empty:
            self.kill()
            raise AssertionError(f"the server did not start: {self.errors.read_text()}") from None
        assert "ready" in line, line
        return line.split()[-1]

    def client(self, service: str, account: str = "111122223333", region: str = REGION) -> Any:
        """An unmodified boto3 client. The account is the access key, so that tests do not see each other."""
        with _one_by_one:
            return boto3.client(
                service,
                endpoint_url=self.endpoint,
                region_name=region,
                aws_access_key_id=account,
                aws_secret_access_key="secret",
                config=Config(retries={"total_max_attempts": 1}, read_timeout=WAIT_S, connect_timeout=WAIT_S),
            )

    def cli(
        self, *arguments: str, account: str = "111122223333", region: str = REGION, timeout_s: float = WAIT_S
    ) -> "subprocess.CompletedProcess[str]":
        """The unmodified AWS CLI."""
        return subprocess.run(
            [sys.executable, "-m", "awscli", "--endpoint-url", self.endpoint, *arguments],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env={**os.environ, **cli_environment(account, region)},
        )

    def clear(self, account: str) -> None:
        """Delete the clusters of an account, and do not wait for it."""
        with urllib.request.urlopen(f"{self.endpoint}/_tocsin/v1/status?account={account}", timeout=WAIT_S) as answer:
            clusters = json.loads(answer.read())["clusters"]
        for cluster in clusters:
            with contextlib.suppress(ClientError):  # it goes already
                self.client("sagemaker", account).delete_cluster(ClusterName=cluster["ClusterName"])

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self._ended()

    def kill(self) -> None:
        """kill -9 of the server alone: the agents live on."""
        self.process.kill()
        self._ended()

    def _ended(self) -> int:
        """The exit code. Closes the pipe, whose other end nobody holds any more."""
        code = self.process.wait(WAIT_S)
        self._reading.join(WAIT_S)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def bucket(self, name: str, scripts: Mapping[str, str]) -> str:
        """A bucket with lifecycle scripts, by name and text; answers its s3:// address."""
        folder = self.s3 / name / "config"
        folder.mkdir(parents=True, exist_ok=True)
        for script, text in scripts.items():
            (folder / script).write_text(text)
        return f"s3://{name}/config/"


def end_what_is_left() -> None:
    """Servers whose tests failed before they stopped them. Until then they are held: not to be a warning elsewhere."""
    for server in _started:
        if server.process.poll() is None:
            server.stop()


def _patience(data_dir: Path, options: Sequence[str]) -> list[str]:
    """What makes the server a patient one, unless its test has deadlines of its own."""
    given = Path(options[options.index("--config") + 1]).read_text() if "--config" in options else ""
    if "[fleet]" in given:
        return []
    config = data_dir.parent / f"{data_dir.name}.patient.toml"
    config.write_text(given + PATIENT)
    return ["--config", str(config)]  # the last one counts


def cli_environment(account: str = "111122223333", region: str = REGION) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": account,
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": region,
        "AWS_PAGER": "",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


_reserved: list[int] = []  # file descriptors, held as long as this process lives


def free_port() -> int:
    """A port of 127.0.0.1 for a server that is started later, or again: no other test on this machine gets it, nor the
    next one."""
    for port in random.SystemRandom().sample(PORTS, 100):
        mark = socket.socket(socket.AF_UNIX)
        with mark, socket.socket() as probe, socket.socket() as next_probe, contextlib.suppress(OSError):
            mark.bind(f"\0tocsin-tests-port-{port}")  # an abstract name, gone with this process
            probe.bind(("127.0.0.1", port))
            next_probe.bind(("127.0.0.1", port + 1))
            _reserved.append(mark.detach())
            return port
    raise AssertionError("no port is free")


def eventually(check: Callable[[], Any], what: str, timeout_s: float = WAIT_S, every_s: float = 0.05) -> Any:
    """The first true answer of `check`, which looks at another process: there is nothing to be signalled by."""
    done = threading.Event()
    for _ in range(int(timeout_s / every_s)):
        found = check()
        if found:
            return found
        done.wait(every_s)
    raise AssertionError(f"{what}: not within {timeout_s} s")
