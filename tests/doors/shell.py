"""The AWS CLI, unmodified, within this process: starting it takes a second each time.

As people start it, in a process of its own, it stands in tests of rules, logs and clusters (`RunningServer.cli`).
"""

import contextlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from awscli.clidriver import create_clidriver

from tests.harness import RunningServer, cli_environment

# (arguments, error code or "" where it must work). In order: what a step makes, later ones use. {…} are filled in.
Step = tuple[str | Sequence[str], str]

LEARNT = ("ChatConfigurationArn", "CommandId", "SubscriptionArn")  # filled in, in the steps after the one that made it


class Shell:
    def __init__(self, server: RunningServer, account: str) -> None:
        self.server, self.account = server, account
        self.names: dict[str, str] = {}
        self._driver = create_clidriver()

    def run(self, service: str, step: Step) -> Any:
        """The answer; asserts that the step ends as it should."""
        line, code = step
        arguments = self._filled(line.split() if isinstance(line, str) else line)
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = self._driver.main(
                ["--endpoint-url", self.server.endpoint, "--output", "json", service, *arguments]
            )
        if code:
            assert status in (254, 255), (arguments, out.getvalue())
            assert f"({code}" in err.getvalue(), (arguments, err.getvalue())
            return None
        assert status == 0, (arguments, err.getvalue())
        answer = json.loads(out.getvalue()) if out.getvalue().strip() else None
        self._learn(answer)
        return answer

    def play(self, service: str, steps: Sequence[Step]) -> None:
        for step in steps:
            self.run(service, step)

    def _filled(self, arguments: Sequence[str]) -> list[str]:
        filled = list(arguments)
        for name, value in self.names.items():
            filled = [one.replace(f"{{{name}}}", value) for one in filled]
        return filled

    def _learn(self, answer: Any) -> None:
        for name, value in answer.items() if isinstance(answer, dict) else ():
            if name in LEARNT:
                self.names[name] = value
            self._learn(value)


def open_shell(server: RunningServer, account: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    """With an environment of its own, in which a parameter that is an address is no file to be fetched."""
    config = tmp_path / "aws-config"
    config.write_text("[default]\ncli_follow_urlparam = false\n")
    for name, value in {**cli_environment(account), "AWS_CONFIG_FILE": str(config)}.items():
        monkeypatch.setenv(name, value)
    return Shell(server, account)
