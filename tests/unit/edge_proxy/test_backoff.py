"""Delays grow, have a limit, and start again after a success."""

from edge_proxy.backoff import Backoff


def test_delays_double_up_to_the_longest() -> None:
    backoff = Backoff(1, 10, jitter=lambda: 1.0)
    assert [backoff.next_delay() for _ in range(6)] == [1, 2, 4, 8, 10, 10]


def test_half_of_a_delay_is_random() -> None:
    backoff = Backoff(4, 10, jitter=lambda: 0.0)
    assert [backoff.next_delay() for _ in range(3)] == [2, 4, 5]


def test_a_success_resets_the_delay() -> None:
    backoff = Backoff(1, 10, jitter=lambda: 1.0)
    backoff.next_delay()
    backoff.next_delay()
    backoff.reset()
    assert backoff.next_delay() == 1


def test_thousands_of_failures_do_not_overflow() -> None:
    backoff = Backoff(0.001, 10)
    assert all(5e-4 <= backoff.next_delay() <= 10 for _ in range(2000))
