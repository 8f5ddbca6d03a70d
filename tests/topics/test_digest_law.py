"""The law of mails and digests: few enough, nobody forgotten, in order, whatever comes when."""

from hypothesis import given
from hypothesis import strategies as st

from tocsin.core.topics.digest import DIGEST_LINES_MAX, WINDOW_MS, Flow, admit, told


class Reader:
    """A mailbox behind one flow, its digests sent as soon as they are due."""

    def __init__(self, per_minute: int, lines_max: int = DIGEST_LINES_MAX) -> None:
        self.per_minute, self.lines_max = per_minute, lines_max
        self.flow: Flow | None = None
        self.held: list[int] = []
        self.mails: list[tuple[int, list[int]]] = []  # when, and which messages

    def pass_to(self, now_ms: int) -> None:
        while self.flow is not None and self.flow.held and self.flow.due_ms <= now_ms:
            at_ms = self.flow.due_ms
            listed, self.held = self.held[: self.lines_max], self.held[self.lines_max :]
            self.mails.append((at_ms, listed))
            self.flow = told(self.flow, at_ms, len(listed))

    def message(self, number: int, now_ms: int) -> None:
        self.pass_to(now_ms)
        self.flow, alone = admit(self.flow, now_ms, self.per_minute)
        if alone:
            self.mails.append((now_ms, [number]))
        else:
            self.held.append(number)


@given(
    st.lists(st.integers(0, 90_000), max_size=60),
    st.integers(1, 5),
    st.integers(1, 4),
)
def test_every_message_is_told_once_in_order_and_no_window_has_too_many_mails(
    pauses: list[int], per_minute: int, lines_max: int
) -> None:
    reader, now_ms = Reader(per_minute, lines_max), 0
    for number, pause in enumerate(pauses):
        now_ms += pause
        reader.message(number, now_ms)
    reader.pass_to(now_ms + (len(pauses) + 1) * WINDOW_MS)
    assert [number for _, numbers in reader.mails for number in numbers] == list(range(len(pauses)))
    times = [at_ms for at_ms, _ in reader.mails]
    for at_ms in times:
        # Two windows may touch, so twice the number is what any sixty seconds can see, and one digest.
        assert sum(at_ms <= other < at_ms + WINDOW_MS for other in times) <= 2 * per_minute + 1


def test_a_quiet_subscription_is_written_to_at_once() -> None:
    reader = Reader(per_minute=2)
    for minute in range(5):
        reader.message(minute, minute * WINDOW_MS)
    assert [at_ms for at_ms, _ in reader.mails] == [minute * WINDOW_MS for minute in range(5)]


def test_a_burst_is_some_mails_and_one_digest_of_the_rest() -> None:
    reader = Reader(per_minute=3)
    for number in range(100):
        reader.message(number, number)
    reader.pass_to(WINDOW_MS)
    assert [numbers for _, numbers in reader.mails] == [[0], [1], [2], list(range(3, 100))]
    assert reader.mails[-1][0] == WINDOW_MS


def test_after_a_digest_mails_go_alone_again() -> None:
    reader = Reader(per_minute=2)
    for number in range(3):
        reader.message(number, number)
    reader.message(3, WINDOW_MS + 1)
    assert [numbers for _, numbers in reader.mails] == [[0], [1], [2], [3]]
