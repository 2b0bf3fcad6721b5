import threading

from anyio import create_task_group, run

from functions.api.slowly import AT_ONCE, slowly


def test_of_a_crowd_so_many_are_served_at_once_and_all_in_the_end():
    lock, full = threading.Lock(), threading.Event()
    now, most, done = [], [], []

    def work(number):
        with lock:
            now.append(number)
            most.append(len(now))
            if len(now) == AT_ONCE:
                full.set()
        full.wait(30)  # nobody leaves before as many as may are in
        with lock:
            now.remove(number)
            done.append(number)

    async def crowd():
        async with create_task_group() as group:
            for number in range(AT_ONCE * 5):
                group.start_soon(slowly, work, number)

    run(crowd)
    assert max(most) == AT_ONCE
    assert sorted(done) == list(range(AT_ONCE * 5))
