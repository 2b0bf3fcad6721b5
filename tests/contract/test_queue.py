from datetime import timedelta

import pytest

from hubless.domain.messages import Kind, Message
from tests.builders import NOW
from tests.contract.together import MANY, at_once

pytestmark = pytest.mark.parametrize("stores", ["sqlite"], indirect=True)  # in the cloud the queue is another service
MINUTE = timedelta(minutes=1)
ONE, TWO = Message(Kind.LAUNCH, "s1", "l1"), Message(Kind.STOP, "s1", "l1")


def claim(stores, at=NOW, limit=10):
    return stores.queue.receive(limit, MINUTE, at)


def test_messages_come_as_they_were_sent_oldest_first(stores):
    stores.queue.send(ONE)
    stores.queue.send(TWO)
    got = claim(stores)
    assert [g.message for g in got] == [ONE, TWO]
    assert [g.attempts for g in got] == [1, 1]


def test_no_more_come_than_were_asked_for(stores):
    for _ in range(3):
        stores.queue.send(ONE)
    assert len(claim(stores, limit=2)) == 2
    assert len(claim(stores, limit=2)) == 1


def test_a_claimed_message_is_hidden_and_counted(stores):
    stores.queue.send(ONE)
    claim(stores)
    assert claim(stores) == []
    assert claim(stores, NOW + MINUTE - timedelta(microseconds=1)) == []
    assert stores.queue.depth() == 1


def test_a_message_that_was_not_deleted_is_handed_out_again(stores):
    stores.queue.send(ONE)
    claim(stores)
    (again,) = claim(stores, NOW + MINUTE)
    assert (again.message, again.attempts) == (ONE, 2)


def test_a_deleted_message_never_comes_again(stores):
    stores.queue.send(ONE)
    (got,) = claim(stores)
    stores.queue.delete(got.receipt)
    stores.queue.delete(got.receipt)
    assert stores.queue.depth() == 0
    assert claim(stores, NOW + 10 * MINUTE) == []


def test_receipts_of_a_lost_claim_do_nothing(stores):
    stores.queue.send(ONE)
    (lost,) = claim(stores)
    (held,) = claim(stores, NOW + MINUTE)
    stores.queue.delete(lost.receipt)
    stores.queue.release(lost.receipt, timedelta(), NOW)
    assert stores.queue.depth() == 1
    assert claim(stores, NOW + MINUTE) == []
    stores.queue.delete(held.receipt)
    assert stores.queue.depth() == 0


def test_receipts_are_of_one_message_also_after_it_is_gone(stores):
    stores.queue.send(ONE)
    (got,) = claim(stores)
    stores.queue.delete(got.receipt)
    stores.queue.send(TWO)
    (other,) = claim(stores)
    stores.queue.delete(got.receipt)
    assert other.receipt != got.receipt
    assert stores.queue.depth() == 1


def test_a_released_message_comes_again_after_its_time(stores):
    stores.queue.send(ONE)
    (got,) = claim(stores)
    stores.queue.release(got.receipt, timedelta(seconds=5), NOW)
    assert claim(stores, NOW + timedelta(seconds=4)) == []
    (again,) = claim(stores, NOW + timedelta(seconds=5))
    assert again.attempts == 2


def test_a_release_may_also_hide_longer(stores):
    stores.queue.send(ONE)
    (got,) = claim(stores)
    stores.queue.release(got.receipt, 5 * MINUTE, NOW)
    assert claim(stores, NOW + 4 * MINUTE) == []
    assert len(claim(stores, NOW + 5 * MINUTE)) == 1


def test_the_same_message_may_wait_twice(stores):
    stores.queue.send(ONE)
    stores.queue.send(ONE)
    assert [g.message for g in claim(stores)] == [ONE, ONE]


def test_of_eight_who_claim_each_message_goes_to_one(stores):
    sent = [Message(Kind.LAUNCH, f"s{n}", f"l{n}") for n in range(40)]
    for message in sent:
        stores.queue.send(message)

    def work(_):
        got = []
        for _turn in range(60):
            got += claim(stores, limit=3)
        return got

    got = [g for some in at_once(work) for g in some]
    assert sorted(g.message.launch_id for g in got) == sorted(m.launch_id for m in sent)


def test_eight_senders_lose_nothing(stores):
    assert at_once(lambda n: [stores.queue.send(Message(Kind.STOP, f"s{n}", str(m))) for m in range(10)])
    assert stores.queue.depth() == 10 * MANY
