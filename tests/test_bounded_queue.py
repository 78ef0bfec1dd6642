from __future__ import annotations

import ctypes
import signal
import threading
import time

import pytest

from danq.bounded_queue import BoundedQueue, read_ahead, write_behind


def threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("danq-")]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = threads()
    yield
    assert threads() == before


def counted(seen: list[int], count: int, fail_at: int | None = None):
    try:
        for number in range(count):
            if number == fail_at:
                raise OSError(f"item {number}")
            seen.append(number)
            yield number
    finally:
        seen.append(-1)


def wait_until(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_items_keep_their_order(depth):
    written: list[tuple[int, int]] = []
    with (
        read_ahead(range(200), depth) as ready,
        write_behind(lambda *pair: written.append(pair), depth) as write,
    ):
        for number in ready:
            write(number, number * number)
    assert written == [(number, number * number) for number in range(200)]


def test_reading_stays_a_few_items_ahead_and_ends_with_the_block():
    seen: list[int] = []
    with read_ahead(counted(seen, 100), 3) as ready:
        assert next(ready) == 0
        # Three items wait, and the thread has one more in its hand.
        wait_until(lambda: len(seen) == 5)
        time.sleep(0.05)
        assert seen == [0, 1, 2, 3, 4]
    assert seen == [0, 1, 2, 3, 4, -1]


def test_writing_stays_a_few_items_behind():
    allowed = threading.Semaphore(0)
    taken: list[int] = []
    written: list[int] = []

    def slow(number: int) -> None:
        allowed.acquire()
        written.append(number)

    def feed(write) -> None:
        for number in range(20):
            write(number)
            taken.append(number)

    with write_behind(slow, 3) as write:
        feeder = threading.Thread(target=feed, args=(write,))
        feeder.start()
        wait_until(lambda: len(taken) == 4)
        time.sleep(0.05)
        assert taken == [0, 1, 2, 3]
        assert written == []
        allowed.release(20)
        feeder.join()
    assert written == list(range(20))


def run(items, compute, write) -> None:
    """The pipeline that all commands share."""
    with read_ahead(items) as ready, write_behind(write) as write_later:
        for item in ready:
            write_later(compute(item))


def same(number: int) -> int:
    return number


def test_an_error_of_the_reader_comes_after_the_items_before_it():
    seen: list[int] = []
    computed: list[int] = []
    with pytest.raises(OSError, match="item 7"):
        run(counted(seen, 100, fail_at=7), computed.append, lambda _: None)
    assert computed == [0, 1, 2, 3, 4, 5, 6]
    assert seen == [*computed, -1]


def test_an_error_while_a_source_is_closed_is_raised():
    def source():
        try:
            yield 1
        finally:
            raise OSError("cannot close")

    with pytest.raises(OSError, match="cannot close"):
        run(source(), same, lambda _: None)


def failing_at_its_end(failed: threading.Event, where: str):
    """Three items; fails when the third is asked for, or when it is closed before."""
    try:
        yield 1
        yield 2
        if where == "an item ahead":
            failed.set()
            raise OSError("broken source")
        yield 3
    finally:
        if where == "closing":
            failed.set()
            raise OSError("broken source")


LEFT_EARLY = pytest.mark.parametrize("where", ["an item ahead", "closing"])


def begin(where: str, problem: Exception | None = None) -> None:
    """Take one item of a source that fails, and leave the block."""
    failed = threading.Event()
    with read_ahead(failing_at_its_end(failed, where)) as ready:
        assert next(ready) == 1
        assert where == "closing" or failed.wait(30)
        if problem is not None:
            raise problem


@LEFT_EARLY
def test_an_error_of_a_source_is_raised_when_the_block_is_left_early(where):
    with pytest.raises(OSError, match="broken source"):
        begin(where)


@LEFT_EARLY
def test_an_error_of_a_source_is_raised_when_its_user_is_a_closed_generator(where):
    failed = threading.Event()

    def stream():
        with read_ahead(failing_at_its_end(failed, where)) as ready:
            yield from ready

    items = stream()
    assert next(items) == 1
    assert where == "closing" or failed.wait(30)
    with pytest.raises(OSError, match="broken source"):
        items.close()


@LEFT_EARLY
def test_an_error_of_a_source_is_noted_on_another_error(where):
    with pytest.raises(ValueError, match="computing") as caught:
        begin(where, ValueError("computing"))
    assert caught.value.__notes__ == ["Another error while reading: OSError('broken source')"]


def test_an_error_of_a_source_is_raised_once_and_without_a_note():
    with pytest.raises(OSError, match="item 2") as caught:
        run(counted([], 9, fail_at=2), same, lambda _: None)
    assert not hasattr(caught.value, "__notes__")


def test_an_error_of_a_writer_is_raised_when_its_user_is_a_closed_generator():
    def fail(_: int) -> None:
        raise OSError("disk full")

    def stream():
        with write_behind(fail) as write:
            write(1)
            yield

    items = stream()
    next(items)
    wait_until(lambda: "danq-writing" not in threads())
    with pytest.raises(OSError, match="disk full"):
        items.close()


@pytest.mark.parametrize("fail_at", [0, 3, 19])
def test_an_error_of_the_writer_ends_the_block(fail_at):
    written: list[int] = []

    def write_or_fail(number: int) -> None:
        if number == fail_at:
            raise OSError(f"cannot write {number}")
        written.append(number)

    with pytest.raises(OSError, match=f"cannot write {fail_at}"):
        run(range(20), same, write_or_fail)
    assert written == list(range(fail_at))


def test_an_error_of_the_computation_ends_both_threads():
    seen: list[int] = []
    written: list[int] = []
    release = threading.Event()

    def slow(number: int) -> None:
        release.wait(30)
        written.append(number)

    def compute(number: int) -> int:
        if number == 3:
            release.set()
            raise ValueError("computing")
        return number

    with pytest.raises(ValueError, match="computing"):
        run(counted(seen, 1000), compute, slow)
    assert seen[-1] == -1
    assert len(seen) < 10
    # What was waiting is dropped, what had begun is done.
    assert written == list(range(len(written)))
    assert len(written) <= 3


def test_both_errors_are_shown_when_computing_and_writing_fail():
    def compute(number: int) -> int:
        if number == 1:
            wait_until(lambda: "danq-writing" not in threads())
            raise ValueError("computing")
        return number

    def fail(_: int) -> None:
        raise OSError("disk full")

    with pytest.raises(ValueError, match="computing") as caught:
        run(range(9), compute, fail)
    assert caught.value.__notes__ == ["Another error while writing: OSError('disk full')"]


@pytest.mark.parametrize("where", ["reading", "writing", "computing"])
def test_an_interrupt_ends_threads_that_wait(where):
    """The main thread waits for a slow reader, for a slow writer, or computes."""
    main, release = threading.main_thread().ident, threading.Event()
    seen: list[int] = []

    def source():
        try:
            for number in range(1000):
                if where == "reading" and number == 5:
                    release.wait(30)
                yield number
        finally:
            seen.append(-1)

    def slow(_: int) -> None:
        if where == "writing":
            release.wait(30)

    def compute(number: int) -> int:
        if where == "computing" and number == 5:
            time.sleep(30)
        return number

    def interrupt() -> None:
        time.sleep(0.2)
        signal.pthread_kill(main, signal.SIGINT)
        time.sleep(0.2)
        release.set()

    sender = threading.Thread(target=interrupt)
    sender.start()
    with pytest.raises(KeyboardInterrupt):
        run(source(), compute, slow)
    sender.join()
    assert seen == [-1]


def test_interrupts_at_random_times_leave_no_thread():
    """An exception is raised between any two instructions of the thread that computes."""
    ended = {"interrupted": 0, "finished": 0}

    def once(wait: float) -> None:
        running = threading.Event()
        done: list[str] = []

        def work() -> None:
            try:
                run(range(10**9), lambda _: running.set(), lambda _: None)
            except KeyboardInterrupt:
                done.append("interrupted")

        thread = threading.Thread(target=work)
        thread.start()
        assert running.wait(30)
        time.sleep(wait)
        raised = ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident or 0), ctypes.py_object(KeyboardInterrupt)
        )
        assert raised == 1
        thread.join(60)
        assert not thread.is_alive()
        ended[done[0] if done else "finished"] += 1

    for number in range(50):
        once(number / 5000)
    assert ended == {"interrupted": 50, "finished": 0}


def test_a_stopped_queue_takes_and_gives_nothing():
    queue: BoundedQueue[int] = BoundedQueue(1)
    assert queue.put(1)
    queue.stop()
    assert not queue.put(2)
    assert list(queue) == []
