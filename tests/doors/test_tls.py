"""Endpoints over TLS: certificates are verified, and an authority of one's own is trusted where a setting says so."""

import json
from pathlib import Path

import pytest

from tests import certificates
from tests.doors.aims import Outside
from tests.doors.asking import configured, tocsin
from tests.harness import RunningServer, eventually
from tests.peer import http_peer


def test_an_endpoint_of_a_trusted_authority_is_asked(tmp_path: Path, account: str) -> None:
    ca_file, certificate = certificates.made(tmp_path)
    toml = f'[outside]\nca_file = "{ca_file}"\n'
    with http_peer(certificate) as peer, configured(tmp_path, toml) as trusting:
        outside = Outside(trusting, account, peer)
        outside.target(outside.destine())
        event_id = outside.put()
        assert json.loads(peer.at("/hook")[0].body)["id"] == event_id


def test_an_endpoint_nobody_vouches_for_gets_nothing_and_is_tried_again(
    server: RunningServer, tmp_path: Path, account: str
) -> None:
    _, certificate = certificates.made(tmp_path)
    with http_peer(certificate) as peer:
        outside = Outside(server, account, peer)
        outside.target(outside.destine())
        outside.put()
        where = ("--endpoint-url", server.endpoint, "--account", account)
        told = eventually(lambda: "failing since" in tocsin("deliveries", *where).stdout, "a failed attempt")
        assert told
        assert "certificate verify failed" in tocsin("deliveries", *where).stdout
        assert peer.seen == []


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_cannot_be_read_end_the_start(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    config = tmp_path / "tocsin.toml"
    config.write_text(f'[outside]\nca_file = "{file}"\n')
    done = tocsin("serve", "--port", "0", "--data-dir", str(tmp_path / "data"), "--config", str(config))
    assert done.returncode == 2
    assert f"outside.ca_file {file}: no certificates can be read from it" in done.stderr
