"""`tocsin demo`, as anybody would play it."""

from tests.doors.asking import tocsin


def test_the_demo_shows_every_event_a_mail_a_card_and_a_commands_output() -> None:
    played = tocsin("demo", "--no-color")
    assert played.returncode == 0, played.stdout + played.stderr
    shown = [line.strip() for line in played.stdout.splitlines()]
    for begun, times in (("← mail to operator@demo.example", 2), ("← card in Slack", 3), ("← Tocsin-Collect", 2)):
        assert sum(line.startswith(begun) for line in shown) == times, begun
    assert any(line.startswith("pressed again: the same run") for line in shown)
    assert any(line.startswith("===== ") for line in shown)
    assert "Everything expected arrived." in played.stdout
