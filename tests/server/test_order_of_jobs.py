"""Short jobs run between the batches of longer ones, and change nothing in them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

import danq
from danq.progress import stage
from danq.server import ServerSettings
from danq.server.app import make_app
from danq.server.jobs import Job, JobQueue
from danq.server.messages import Messages
from tests.server.conftest import BASE, User

LONG = "".join(f">s{n}\n{'ACGTTGCAGG'[n % 9 :][:3] * 10}\n" for n in range(60)).encode()


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Callable[..., JobQueue]]:
    made: list[JobQueue] = []

    def start(*jobs: Job, **settings: Any) -> JobQueue:
        queue = JobQueue(ServerSettings(**settings), Messages(tmp_path, []))
        made.append(queue)
        for job in jobs:
            queue.submit(job)
        queue.start()
        return queue

    yield start
    for one in made:
        one.stop()


def job(work: Callable[[Job], Any], *, short: bool = False, seconds: float = 60) -> Job:
    return Job("predict", work, lambda: None, seconds, short=short)


def wait(*jobs: Job) -> None:
    for _ in range(2000):
        if all(one.is_ended for one in jobs):
            return
        time.sleep(0.005)
    raise AssertionError([one.state for one in jobs])


def test_short_jobs_pass_and_long_ones_wait(queue):
    order: list[str] = []

    def note(name: str, batches: int) -> Callable[[Job], None]:
        def work(own: Job) -> None:
            for n in range(batches):
                order.append(f"{name}{n}")
                own.progress(n, batches)

        return work

    jobs = [job(note("a", 3)), job(note("b", 2)), job(note("c", 1), short=True)]
    jobs.append(job(note("d", 2), short=True))
    wait(*queue(*jobs)._jobs.values())
    assert order == ["a0", "c0", "d0", "d1", "a1", "a2", "b0", "b1"]
    assert {one.state for one in jobs} == {"done"}


def test_a_long_job_goes_on_however_many_short_ones_come(queue):
    started: list[Job] = []

    def short(own: Job) -> None:
        started.append(job(short, short=True))
        made.submit(started[-1])

    begin = threading.Event()

    def long(own: Job) -> int:
        begin.wait(10)
        for n in range(5):
            own.progress(n, 5)
        return len(started)

    first, second = job(long), job(short, short=True)
    made = queue(first, second)
    begin.set()
    wait(first)
    assert first.answer == 5


def test_the_time_of_others_does_not_count(queue):
    def long(own: Job) -> None:
        for n in range(3):
            own.progress(n, 3)

    slow = job(lambda own: time.sleep(0.6), short=True)
    first = job(long, seconds=0.5)
    queue(first, slow)
    wait(first, slow)
    assert (first.state, first.error) == ("done", None)


def test_both_end_when_the_server_stops(queue):
    inside = threading.Event()

    def endless(own: Job) -> None:
        while True:
            if own.short:
                inside.set()
            own.progress(0, None)
            time.sleep(0.001)

    jobs = [job(endless), job(endless, short=True), job(endless, short=True)]
    made = queue(*jobs)
    assert inside.wait(10)
    assert [made.ahead(one) for one in jobs] == [0, 0, 1]
    made.stop()
    assert [one.state for one in jobs] == ["cancelled"] * 3


@pytest.fixture
def held(monkeypatch, folder) -> Iterator[threading.Event]:
    """Predictions of files that end when the test allows it."""
    allowed = threading.Event()
    real = danq.predict

    def predict(models, source):
        with stage("predicting", "rows", 60) as now:
            while not isinstance(source, str) and not allowed.wait(0.01):
                now.reach(1)
        return real(models, source)

    monkeypatch.setattr("danq.server.predictor.predict", predict)
    yield allowed
    allowed.set()


def test_a_prediction_is_answered_while_a_longer_job_runs(user, held, model, tmp_path):
    first, second = (user.post("predict", LONG).json()["id"] for _ in range(2))
    state = lambda id: user.client.get(f"/api/jobs/{id}").json()  # noqa: E731
    found = user.answer("predict", "ACGTT" * 8)
    assert np.float32(found["data"]).tolist() == danq.predict(model, "ACGTT" * 8).values.tolist()
    assert user.answer("variants", user.client.get("/api/model").json()["examples"]["variant"])
    wide = user.post("mutate", "ACGTT" * 8).json()
    assert (state(first)["state"], state(second)["state"]) == ("running", "waiting")
    assert (state(second)["ahead"], state(wide["id"])["ahead"]) == (1, 2)
    held.set()
    path = tmp_path / "long.fa"
    path.write_bytes(LONG)
    expected = danq.predict(model, path).values.tolist()
    for id in (first, second):
        assert user.client.get(f"/api/jobs/{id}?wait=30").json()["state"] == "done"
        found = user.client.get(f"/api/jobs/{id}/rows?count=60").json()
        assert np.float32(found["data"]).tolist() == expected


@pytest.mark.parametrize("task", ["predict", "variants", "mutate"])
def test_answers_and_notices_do_not_change(folder, bases, monkeypatch, task):
    model = danq.load(
        folder / "model.safetensors", device="cpu", precision="fp32", threads=1, batch_size=8
    )
    one = bases["chr1"]
    swap = {"A": "C", "C": "G", "G": "T", "T": "A"}
    long = {
        "predict": LONG + b">wide\n" + one.encode() + b"\n",
        "variants": "".join(f"chr1:{n} {one[n - 1]}>{swap[one[n - 1]]}\n" for n in range(1, 90)),
        "mutate": "chr1:1-200",
    }[task]
    short = [one[n : n + 30] for n in range(12)] + ["chr1:301-400"]
    begun = threading.Event()

    def wait_for_others(own: Job, done: int, total: int | None) -> None:
        if own.give_way is not None and not begun.is_set():
            begun.wait(10)
        progress(own, done, total)

    progress = Job.progress
    monkeypatch.setattr(Job, "progress", wait_for_others)
    app = make_app(model, folder / "genome.fa", warm=False)
    with TestClient(app, base_url=BASE) as client:
        user = User(client)
        id = user.post(task, long).json()["id"]
        others = [user.post("predict", text).json()["id"] for text in short]
        begun.set()
        ended = client.get(f"/api/jobs/{id}?wait=30").json()
        states = [client.get(f"/api/jobs/{one}?wait=30").json() for one in others]
        jobs = [app.state.jobs.find(one) for one in (id, *others)]
        assert all(one.ended < jobs[0].ended for one in jobs[1:])
        found = [client.get(f"/api/jobs/{one}/table").text for one in (id, *others)]
        # The same, one after the other.
        alone = [user.state(task, long), *(user.state("predict", text) for text in short)]
        again = [client.get(f"/api/jobs/{one['id']}/table").text for one in alone]
    assert found == again
    assert [one["notices"] for one in (ended, *states)] == [one["notices"] for one in alone]
    assert "longer than the window" in str(states[-1]["notices"])
    assert "longer than the window" not in str(states[0]["notices"])
