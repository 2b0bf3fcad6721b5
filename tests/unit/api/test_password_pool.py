import threading

from anyio import create_task_group, run

from functions.api.password_pool import THREADS, in_password_pool


def test_of_a_crowd_so_many_are_served_at_once_and_all_in_the_end():
    lock, full = threading.Lock(), threading.Event()
    now, most, done = [], [], []

    def work(number):
        with lock:
            now.append(number)
            most.append(len(now))
            if len(now) == THREADS:
                full.set()
        full.wait(30)  # nobody leaves before as many as may are in
        with lock:
            now.remove(number)
            done.append(number)

    async def crowd():
        async with create_task_group() as group:
            for number in range(THREADS * 5):
                group.start_soon(in_password_pool, work, number)

    run(crowd)
    assert max(most) == THREADS
    assert sorted(done) == list(range(THREADS * 5))
