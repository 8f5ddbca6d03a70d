"""`tocsin config check`: what is missing or wrong is said, all of it, before anything is started."""

import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.chats.stand_in import beside
from tests.doors.asking import configured, tocsin
from tocsin.server.checks import check

# Of apprise's own imports.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")

# What links in messages begin with; without it channels are warned of.
REACHED = 'public_url = "https://tocsin.example.com"\n'


def found(
    folder: Path, toml: str, environment: Mapping[str, str] | None = None, *, online: bool = False
) -> list[tuple[str, str, str]]:
    config = folder / "tocsin.toml"
    config.write_text(f'data_dir = "{folder}/data"\n{toml}')
    config.chmod(0o600)
    return [(str(one.level), one.setting, one.text) for one in check(config, environment or {}, online=online)]


def said(folder: Path, toml: str, environment: Mapping[str, str] | None = None) -> str:
    return "\n".join(" ".join(one) for one in found(folder, toml, environment))


def secret_file(folder: Path, text: str = "xoxb", mode: int = 0o600) -> Path:
    path = folder / "secret"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_nothing_is_wrong_with_the_defaults() -> None:
    assert check(None, {}, online=False) == []


def test_every_wrong_name_and_type_is_said_at_once_with_the_nearest_name(tmp_path: Path) -> None:
    toml = 'prot = 1\nport = "x"\n[fleet]\nlaunch_timout_s = 3\n[chat.channels.ops]\nwebhok = "x"\n[zzz]\n'
    assert found(tmp_path, toml) == [
        ("error", "prot", "there is no such setting: did you mean port?"),
        ("error", "port", "Expected `int`, got `str`"),
        ("error", "fleet.launch_timout_s", "there is no such setting: did you mean launch_timeout_s?"),
        ("error", "chat.channels.ops.webhok", "there is no such setting: did you mean webhook?"),
        ("error", "zzz", "there is no such setting"),
    ]


CASES = [
    ('host = "0.0.0.0"', "error host 0.0.0.0 can be reached"),
    ("[fleet]\nlaunch_timeout_s = -5", "error fleet.launch_timeout_s must be 0 or more, not -5"),
    ("[health]\nlost_floor = -1", "error health.lost_floor must be 0 or more, not -1"),
    ("[simulated]\nspeed = nan", "error simulated.speed must be 0 or more, not nan"),
    ("[fleet]\nscript_time_limit_s = inf", "error fleet.script_time_limit_s must be 0 or more, not inf"),
    ("extension_health_s = 0", "error extension_health_s must be above 0"),
    ('account = "12"', "error account must be 12 digits"),
    ('[mail]\nhost = "mail.example"', "error mail.from_address must be the address"),
    ('[mail]\nfrom_address = "a@b.example"', "warning mail.host no mail server is named"),
    (
        '[chat.channels.ops]\nwebhook = "https://a"',
        "warning public_url not set: buttons that investigate a node lead to this machine's own address",
    ),
    ("[chat.channels.ops]", "warning chat.channels.ops neither webhook nor token"),
    ('[chat.channels.ops]\nwebhook = "https://a"\ntoken = "b"', "warning chat.channels.ops both webhook and token"),
    ('[chat.channels.ops]\nwebhook = "S3cret"', "error chat.channels.ops.webhook is no https:// address"),
    ('[chat.channels.ops]\ntoken_file = "/no/such"', "error chat.channels.ops.token_file /no/such cannot be read"),
    ('[chat.workspaces.T1]\nname = "a"', "warning chat.workspaces.T1 no token"),
    ('[chat]\nconsole_link = "https://a/{clustr}"', "error chat.console_link {clustr} is none of"),
    ('[chat]\nslack_api = "slack"', "error chat.slack_api is no https:// address"),
    ('[chat.apprise]\na = ["$NOT_SET"]', "error chat.apprise chat.apprise.a: the environment has no NOT_SET"),
    ('[chat.apprise]\na = ["nosuch://S3cret"]', "error chat.apprise.a nosuch-"),
    ('[chat.apprise]\na = ["@/no/such"]', "error chat.apprise.a /no/such cannot be read"),
    ('[health]\ncatalogue = "/no/such"', "error health.catalogue /no/such: cannot be read"),
    ('[outside]\nca_file = "/no/such"', "error outside.ca_file"),
]  # fmt: skip


HOST = '[[host]]\nname = "{}"\naddress = "{}"\ninstance_type = "{}"\n'


@pytest.mark.parametrize(
    ("inventory", "findings"),
    [
        (HOST.format("a", "10.0.0.1", "ml.p5.48xlarge"), []),
        ("", [("warning", "names no hosts: no instance can be had")]),
        (
            HOST.format("a", "10.0.0.1", "ml.p5.48xlrge"),
            [("warning", "a: no group can have instances of type ml.p5.48xlrge: did you mean ml.p5.48xlarge?")],
        ),
        (HOST.format("a", "x", "t") + HOST.format("b", "x", "t"), [("error", "{}: has addresses twice: x")]),
    ],
)
def test_what_the_inventory_lacks_is_said(tmp_path: Path, inventory: str, findings: list[tuple[str, str]]) -> None:
    hosts = tmp_path / "hosts.toml"
    hosts.write_text(inventory)
    toml = f'[machines]\nprovider = "hosts"\ninventory = "{hosts}"'
    assert found(tmp_path, toml) == [(level, "machines.inventory", text.format(hosts)) for level, text in findings]


def test_a_sites_table_of_faults_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    table = tmp_path / "faults.toml"
    table.write_text("[change.disk-full]\naction = 'reboot'\n")
    told = said(tmp_path, f'[health]\ncatalogue = "{table}"')
    assert f"with {table}: disk-full is no code of the driver and takes no action" in told


@pytest.mark.parametrize(("toml", "text"), CASES)
def test_what_is_missing_or_wrong_is_said(tmp_path: Path, toml: str, text: str) -> None:
    told = said(tmp_path, toml)
    assert text in told
    assert "S3cret" not in told


def test_a_variable_that_is_none_is_told_with_the_nearest(tmp_path: Path) -> None:
    told = said(tmp_path, "", {"TOCSIN_HSOT": ""})
    assert told == "warning TOCSIN_HSOT there is no such variable: did you mean TOCSIN_HOST?"


def test_secrets_from_the_environment_count_and_are_not_told(tmp_path: Path) -> None:
    toml = f"{REACHED}[chat.channels.ops]\n[chat.channels.other-room]\n[chat.workspaces.T1]"
    environment = {
        "TOCSIN_CHAT_OPS_WEBHOOK": "https://hooks.example/S3cret",
        "TOCSIN_CHAT_OTHER_ROOM_TOKEN": "S3cret",
        "TOCSIN_CHAT_T1_TOKEN": "S3cret",
    }
    assert found(tmp_path, toml, environment) == []


def test_secrets_that_others_can_read_are_told(tmp_path: Path) -> None:
    path = secret_file(tmp_path, mode=0o644)
    [only] = found(tmp_path, f'{REACHED}[chat.channels.ops]\ntoken_file = "{path}"')
    assert only[1:] == (
        "chat.channels.ops.token_file",
        f"{path} holds a secret, and others on this machine can read it: chmod 600 it",
    )
    config = tmp_path / "tocsin.toml"
    for toml in ('[access_keys]\nA = "b"', f'{REACHED}[chat.channels.ops]\nwebhook = "https://a"'):
        config.write_text(toml)
        config.chmod(0o644)
        assert [(one.setting, one.text) for one in check(config, {}, online=False)] == [
            (str(config), "holds secrets, and others on this machine can read it: chmod 600 it")
        ]


def test_an_empty_secret_is_told(tmp_path: Path) -> None:
    path = secret_file(tmp_path, "")
    assert "is empty" in said(tmp_path, f'[chat.channels.ops]\ntoken_file = "{path}"')


def test_a_file_that_is_no_toml_or_not_there_is_told(tmp_path: Path) -> None:
    assert "is not valid TOML" in said(tmp_path, "a = ")
    [only] = check(tmp_path / "none", {}, online=False)
    assert only.text == "cannot be read: No such file or directory"


def test_only_online_are_hosts_asked(tmp_path: Path) -> None:
    with beside() as chat:
        toml = f'[chat.channels.up]\nwebhook = "{chat.url}/x"\n[chat.channels.down]\nwebhook = "http://127.0.0.1:1/x"'
        assert found(tmp_path, REACHED + toml) == []
        [only] = found(tmp_path, f"{REACHED}port = 1\n{toml}", online=True)
    assert only[:2] == ("warning", "chat.channels.down")
    assert only[2].startswith("127.0.0.1:1 cannot be reached")


def test_online_a_running_server_tells_of_channels_without_an_address(tmp_path: Path) -> None:
    with configured(tmp_path, "") as server:
        role = "arn:aws:iam::111122223333:role/r"
        server.client("chatbot").create_slack_channel_configuration(
            ConfigurationName="room", SlackTeamId="T1", SlackChannelId="C1", IamRoleArn=role
        )
        port = server.endpoint.rpartition(":")[2]
        [only] = found(tmp_path, f"port = {port}", online=True)
    assert only[:2] == ("warning", "chat.channels.room")


def test_online_a_server_that_does_not_tell_its_channels_is_told_and_none_is_no_matter(tmp_path: Path) -> None:
    with beside() as chat:  # takes posts only
        port = urlsplit(chat.url).port
        [only] = found(tmp_path, f"port = {port}", online=True)
    assert only[:2] == ("warning", "port")
    assert "does not tell the channels, and they are not looked at: HTTP Error 405" in only[2]
    assert found(tmp_path, f"port = {port}", online=True) == []


EXITS = [
    ("", 0, "Nothing is missing or wrong."),
    (f"{REACHED}[chat.channels.ops]", 1, "0 errors, 1 warning."),
    ("prot = 1", 2, "1 error, 0 warnings."),
]


@pytest.mark.parametrize(("toml", "exit_code", "text"), EXITS)
def test_the_exit_code_says_how_bad_it_is(tmp_path: Path, toml: str, exit_code: int, text: str) -> None:
    config = tmp_path / "tocsin.toml"
    config.write_text(toml)
    shown = tocsin("config", "check", "--config", str(config))
    assert (shown.returncode, text in shown.stdout) == (exit_code, True), shown


def test_json_is_a_finding_a_line(tmp_path: Path) -> None:
    config = tmp_path / "tocsin.toml"
    config.write_text("prot = 1\n[chat.channels.ops]\n")
    shown = tocsin("config", "check", "--config", str(config), "--output", "json")
    assert [json.loads(line) for line in shown.stdout.splitlines()] == [
        {"level": "error", "setting": "prot", "text": "there is no such setting: did you mean port?"}
    ]
