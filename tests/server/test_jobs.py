"""Queue, progress, cancelling, limits."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import danq
from danq.errors import InputError
from danq.progress import stage
from danq.server import ServerSettings
from tests.server.conftest import User

SEQUENCE = "ACGTTGCA" * 5


@pytest.fixture
def slow(monkeypatch):
    """Predictions that end when the test allows it, and report progress meanwhile."""
    allowed, begun = threading.Event(), threading.Event()
    real = danq.predict

    def predict(models, source):
        begun.set()
        with stage("predicting", "rows", 4) as now:
            while not allowed.wait(0.01):
                now.reach(1)
        return real(models, source)

    monkeypatch.setattr("danq.server.predictor.predict", predict)
    allowed.begun = begun
    yield allowed
    allowed.set()


def events(client, id: str) -> list[dict]:
    text = client.get(f"/api/jobs/{id}/events").text
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]


def wait_for(client, id: str, *states: str) -> dict:
    for _ in range(1000):
        state = client.get(f"/api/jobs/{id}").json()
        if state["state"] in states:
            return state
        time.sleep(0.01)
    raise AssertionError(state)


def test_progress_and_the_order_of_the_queue(user, slow):
    first, second, third = (user.post("predict", SEQUENCE).json()["id"] for _ in range(3))
    slow.begun.wait(10)
    state = wait_for(user.client, first, "running")
    assert (state["ahead"], state["error"]) == (0, None)
    assert [user.client.get(f"/api/jobs/{one}").json()["ahead"] for one in (second, third)] == [
        1,
        2,
    ]
    assert user.client.get(f"/api/jobs/{second}/rows").status_code == 409
    slow.set()
    for one in (third, second, first):
        found = events(user.client, one)
        assert found[-1]["state"] == "done"
        assert found[-1]["total"] == 1
    assert len({first, second, third}) == 3


def test_a_running_and_a_waiting_job_are_cancelled(user, slow):
    running, waiting, other = (user.post("predict", SEQUENCE).json()["id"] for _ in range(3))
    slow.begun.wait(10)
    assert user.client.delete(f"/api/jobs/{waiting}").json()["state"] == "cancelled"
    user.client.delete(f"/api/jobs/{running}")
    assert wait_for(user.client, running, "cancelled")["error"] is None
    assert user.client.get(f"/api/jobs/{running}/rows").status_code == 409
    slow.set()
    assert wait_for(user.client, other, "done", "failed")["state"] == "done"
    # A second request removes what ended.
    for one in (running, waiting, other):
        user.client.delete(f"/api/jobs/{one}")
        assert user.client.get(f"/api/jobs/{one}").status_code == 404


def test_a_full_queue_refuses_and_accepts_again(serve, slow):
    user = User(serve(max_waiting=2))
    first = user.post("predict", SEQUENCE).json()["id"]
    slow.begun.wait(10)
    accepted = [user.post("predict", SEQUENCE) for _ in range(2)]
    refused = user.post("predict", b">a\nACGT\n")
    assert [one.status_code for one in accepted] == [202, 202]
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert "2 jobs wait already" in refused.json()["error"]
    assert list(user.client.app.state.folder.iterdir()) == []
    slow.set()
    wait_for(user.client, first, "done")
    assert wait_for(user.client, accepted[1].json()["id"], "done")
    assert user.state("predict", SEQUENCE)["state"] == "done"


def test_many_users_at_once_get_their_own_answers(user, model, bases):
    sequences = [bases["chr1"][n : n + 40] for n in range(24)]
    expected = danq.predict(model, sequences).values
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda one: user.answer("predict", one), sequences))
    for one, values in zip(found, expected, strict=True):
        assert one["data"][0] == pytest.approx(values.tolist(), rel=1e-5)


@pytest.mark.parametrize(
    ("task", "body", "limit", "message"),
    [
        (
            "predict",
            "".join(f">s{n}\nACGT\n" for n in range(6)),
            {"max_rows": 5},
            "more than 5 rows",
        ),
        ("predict", SEQUENCE * 20, {"max_rows": 5}, "more than 5 rows"),
        ("predict", "".join(f">s{n}\nACGT\n" for n in range(6)), {"max_values": 15}, "than 5 rows"),
        ("mutate", SEQUENCE, {"max_bases": 39}, "more than 39 bases"),
    ],
)
def test_a_job_that_is_too_large_fails_with_the_limit(serve, task, body, limit, message):
    user = User(serve(**limit))
    error = user.error(task, body)
    assert message in error
    assert "use the command line" in error


def test_too_many_variants_fail(serve, bases):
    lines = [
        f"chr1:{n} {bases['chr1'][n - 1]}>{'CA'[bases['chr1'][n - 1] == 'C']}" for n in range(1, 8)
    ]
    user = User(serve(max_rows=6))
    assert "more than 6 variants" in user.error("variants", "\n".join(lines))
    assert user.answer("variants", "\n".join(lines[:6]))["total"] == 6


def test_a_job_at_the_limit_is_computed(serve):
    user = User(serve(max_bases=40, max_rows=5))
    assert user.state("mutate", SEQUENCE)["state"] == "done"
    assert user.answer("predict", "".join(f">s{n}\nACGT\n" for n in range(5)))["total"] == 5


def test_a_job_that_runs_too_long_ends(serve, slow):
    user = User(serve(max_seconds=0.05))
    assert "ran longer than 0.05 seconds" in user.error("predict", SEQUENCE)


def test_requests_and_uploads_are_limited_in_size(serve):
    import gzip

    user = User(serve(max_bytes=1000, max_unpacked=5000))
    assert user.post("predict", "A" * 1001).status_code == 413
    assert user.post("predict", "A" * 1000).status_code == 202
    bomb = gzip.compress(b">a\n" + b"A" * 6000)
    assert len(bomb) < 1000
    for task in ("predict", "variants", "mutate"):
        assert "more than 5,000 bytes after unpacking" in user.error(task, bomb)


def test_uploads_are_private_and_removed(user, slow):
    job = user.post("predict", b">secret\nACGT\n").json()["id"]
    slow.begun.wait(10)
    folder: Path = user.client.app.state.folder
    assert folder.stat().st_mode & 0o077 == 0
    (made,) = folder.iterdir()
    assert [one.name for one in made.iterdir()] == ["upload"]
    slow.set()
    wait_for(user.client, job, "done")
    assert list(folder.iterdir()) == []
    user.error("predict", b"\0\0")
    assert list(folder.iterdir()) == []


def test_the_folder_is_removed_at_the_end(folder, model):
    from starlette.testclient import TestClient

    from danq.server.app import make_app

    app = make_app(model, folder / "genome.fa", warm=False)
    with TestClient(app, base_url="http://localhost"):
        assert app.state.folder.is_dir()
    assert not app.state.folder.exists()


def test_old_answers_are_forgotten(serve):
    user = User(serve(max_kept=2))
    ids = [user.state("predict", SEQUENCE)["id"] for _ in range(4)]
    user.post("predict", SEQUENCE)
    found = [user.client.get(f"/api/jobs/{one}").status_code for one in ids]
    assert found[0] == 404
    assert found[-1] == 200
    user = User(serve(max_kept_values=6))
    ids = [user.state("predict", SEQUENCE)["id"] for _ in range(3)]
    found = [user.client.get(f"/api/jobs/{one}").status_code for one in ids]
    assert found == [404, 200, 200]
    user = User(serve(keep_seconds=0.0))
    gone = user.post("predict", SEQUENCE).headers["Location"]
    for _ in range(500):
        if user.client.get(gone).status_code == 404:
            break
        time.sleep(0.01)
    assert user.client.get(gone).status_code == 404


def test_a_bug_is_no_traceback(user, monkeypatch, capsys):
    def fail(*args, **options):
        raise KeyError("GATTACA")

    monkeypatch.setattr("danq.server.predictor.predict", fail)
    state = user.state("predict", SEQUENCE)
    assert state["state"] == "failed"
    assert state["error"] == "danq failed unexpectedly (KeyError); this is a bug."
    shown = capsys.readouterr().err
    assert "unexpected KeyError" in shown
    assert "test_jobs.py" in shown
    assert "GATTACA" not in shown


def test_inputs_are_not_logged(user, capfd, caplog):
    user.answer("predict", "GATTACA" * 4)
    user.error("predict", b">secret_sample\nGAT!TACA\n")
    user.answer("variants", "chr1:5 GATTACA>G")
    user.answer("predict", "1:5-9")
    shown = "".join(capfd.readouterr()) + caplog.text
    for secret in ("GATTACA", "GAT!", "secret_sample", "chr1"):
        assert secret not in shown


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"host": "0.0.0.0"}, "no token is set"),
        ({"host": "192.168.1.2", "token": "short"}, "the token is short"),
        ({"host": "my-machine"}, "no token is set"),
        ({"token": "ä" * 20}, "ASCII"),
        ({"port": 70000}, "70000"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(InputError, match=message):
        ServerSettings(**settings)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.3.2.1"])
def test_loopback_needs_no_token(host):
    assert ServerSettings(host=host).is_private
