"""Other services through apprise: its own json:// plugin against a stand-in."""

import sys
from pathlib import Path

import pytest

from tests.chats.desk import opened, run
from tests.chats.stand_in import hangs, says
from tocsin.server.chat_settings import ChatSettings
from tocsin.server.chats import elsewhere
from tocsin.server.settings import SettingsError
from tocsin.targets.chats.apprise import AppriseCarrier

# Of apprise's own imports.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")


def test_a_service_is_told_and_told_again_until_it_takes_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            settings = ChatSettings(apprise={"alerts": [f"{desk.chat.url.replace('http', 'json')}/note"]})
            names = elsewhere(settings)
            desk.chats.elsewhere = names.by_topic
            desk.carriers["apprise"] = AppriseCarrier(names.addresses, desk.clock, 5)
            desk.chat.answers["/note"] = [says(500), says(429), says(200)]
            await desk.publish("hello")
            await desk.until_with_time(delivered=1)
            assert [(one["message"], one["type"]) for one in desk.chat.posts("/note")] == [("hello", "info")] * 3

    run(main())


def test_a_service_that_hangs_is_tried_again_within_the_limit(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            names = elsewhere(ChatSettings(apprise={"alerts": [f"{desk.chat.url.replace('http', 'json')}/S3cret"]}))
            desk.chats.elsewhere = names.by_topic
            desk.carriers["apprise"] = AppriseCarrier(names.addresses, desk.clock, 0.2)
            desk.chat.answers["/S3cret"] = [hangs]
            await desk.publish("hello")
            await desk.until(retried=1)
            [kept] = await desk.owed()
            assert (kept.last_code, "S3cret" in kept.last_error) == ("TIMEOUT", False)

    run(main())


@pytest.mark.parametrize("address", ["nosuchkind://x/S3cret", "S3cret"])
def test_an_address_of_no_known_kind_is_given_up(
    tmp_path: Path, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            desk.chats.elsewhere = {"alerts": ("it",)}
            desk.carriers["apprise"] = AppriseCarrier({"it": address}, desk.clock, 5)
            await desk.publish("hello")
            await desk.until(dropped=1)

    run(main())
    assert "does not know what kind of address it is" in caplog.text
    assert "S3cret" not in caplog.text


def test_a_service_that_is_no_longer_in_the_settings_is_given_up(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as desk:
            desk.chats.elsewhere = {"alerts": ("json-00000000",)}
            desk.carriers["apprise"] = AppriseCarrier({}, desk.clock, 5)
            await desk.publish("hello")
            await desk.until(dropped=1)

    run(main())


def test_addresses_come_from_the_file_a_file_of_their_own_and_the_environment(tmp_path: Path) -> None:
    (tmp_path / "urls").write_text("# ours\n\njson://b\n discord://c/S3cret \n")
    settings = ChatSettings(apprise={"alerts": ["json://a", f"@{tmp_path}/urls", "$URL"]})
    found = elsewhere(settings, {"URL": "json://d"})
    assert set(found.addresses.values()) == {"json://a", "json://b", "discord://c/S3cret", "json://d"}
    assert [name.split("-")[0] for name in found.by_topic["alerts"]] == ["json", "json", "discord", "json"]
    assert "S3cret" not in repr(found)


def test_without_the_extra_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(SettingsError, match=r"apprise is not installed: pip install 'tocsin\[apprise\]'"):
        elsewhere(ChatSettings(apprise={"alerts": ["json://a"]}))
    assert elsewhere(ChatSettings()).addresses == {}
