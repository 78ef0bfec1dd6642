"""`danq serve` as a process: many clients at once, signals, refusals."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

import danq
from danq_cli.main import run

PROGRAM = "from danq_cli.start import main; main()"
FP32 = ["--device", "cpu", "--precision", "fp32", "--threads", "1"]


def command(folder: Path, *more: str) -> list[str]:
    return [
        "serve",
        str(folder / "model.safetensors"),
        "--genome",
        str(folder / "genome.fa"),
        *more,
    ]


@pytest.fixture(scope="module")
def process(folder: Path) -> Iterator[tuple[subprocess.Popen, str]]:
    """A server and its address."""
    line = [sys.executable, "-c", PROGRAM, *command(folder, "--port", "0", *FP32)]
    started = subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
    assert started.stderr is not None
    text = started.stderr.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+/", text)
    assert found is not None, text
    yield started, found[0]
    started.kill()
    started.wait()
    started.stderr.close()


@pytest.mark.parametrize("seconds", [0, pytest.param(60, marks=pytest.mark.slow)])
def test_many_clients_lose_no_request(process, model, bases, seconds):
    """20 clients, with 5 requests each or for a minute."""
    _, address = process
    end = time.monotonic() + seconds
    sequences = [bases["chr1"][n : n + 40] for n in range(20)]
    expected = danq.predict(model, sequences).values.tolist()
    counts: Counter[int] = Counter()

    def use(number: int) -> None:
        with httpx2.Client(base_url=address, timeout=60) as client:
            while len(done[number]) < 5 or time.monotonic() < end:
                while True:
                    response = client.post(
                        "/api/jobs?task=predict",
                        content=sequences[number].encode(),
                        headers={"Content-Type": "text/plain"},
                    )
                    counts[response.status_code] += 1
                    if response.status_code != 429:
                        break
                    time.sleep(int(response.headers["Retry-After"]))
                assert response.status_code == 202
                job = response.headers["Location"]
                assert client.get(f"{job}?wait=30").json()["state"] == "done"
                values = client.get(f"{job}/rows").json()["data"][0]
                assert values == pytest.approx(expected[number], rel=1e-5)
                done[number].append(job)

    done: list[list[str]] = [[] for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(use, range(20)))
    jobs = [job for own in done for job in own]
    print(f"{len(jobs):,} requests of 20 clients; {dict(counts)}")
    assert counts[202] == len(jobs) == len(set(jobs))
    assert counts[202] >= 100
    assert set(counts) <= {202, 429}


def test_a_signal_stops_the_server(process):
    started, address = process
    assert httpx2.get(address).status_code == 200
    started.send_signal(signal.SIGINT)
    assert started.wait(timeout=60) == 130
    assert "Traceback" not in started.stderr.read()


def test_a_port_in_use_is_refused(folder, capsys):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert run(command(folder, "--port", port, *FP32)) == 2
    assert f"cannot listen on 127.0.0.1 port {port}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--host", "0.0.0.0"], "no token is set"),
        (["--host", "0.0.0.0", "--token", "short"], "the token is short"),
        (["--ids", "genome.fa"], "genome.fa"),
        (["--measured"], "every track is of peaks"),
    ],
)
def test_refusals(folder, capsys, monkeypatch, more, message):
    monkeypatch.delenv("DANQ_TOKEN", raising=False)
    monkeypatch.chdir(folder)
    assert run(command(folder, "--port", "0", *more, *FP32)) == 2
    assert message in capsys.readouterr().err


def test_missing_packages_are_named(folder, capsys, monkeypatch):
    monkeypatch.setattr("danq.server.find_spec", lambda name: None)
    assert run(command(folder, *FP32)) == 2
    assert "Install danq[serve]" in capsys.readouterr().err
