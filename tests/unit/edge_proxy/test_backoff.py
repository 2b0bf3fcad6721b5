"""Waits grow, are bounded, and begin anew."""

from edge_proxy.backoff import Backoff


def test_waits_double_up_to_the_bound() -> None:
    backoff = Backoff(1, 10, jitter=lambda: 1.0)
    assert [backoff.next_delay() for _ in range(6)] == [1, 2, 4, 8, 10, 10]


def test_half_of_a_wait_is_chance() -> None:
    backoff = Backoff(4, 10, jitter=lambda: 0.0)
    assert [backoff.next_delay() for _ in range(3)] == [2, 4, 5]


def test_after_a_success_the_first_wait_is_the_first_again() -> None:
    backoff = Backoff(1, 10, jitter=lambda: 1.0)
    backoff.next_delay()
    backoff.next_delay()
    backoff.reset()
    assert backoff.next_delay() == 1


def test_no_number_of_failures_is_too_many() -> None:
    backoff = Backoff(0.001, 10)
    assert all(5e-4 <= backoff.next_delay() <= 10 for _ in range(2000))
