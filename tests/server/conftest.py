"""A server of a small model, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from starlette.testclient import TestClient

import danq
from danq.models import Model, architecture, save_model, untrained
from danq.server import ServerSettings
from danq.server.app import make_app

SMALL = {"filters": 8, "width": 5, "pool": 3, "hidden": 4, "dense": (6,)}
TRACKS = ("Reb1", "<img src=x onerror=alert(1)>", "Abf1")
CONTIGS = ("chr1", "<svg/onload=alert(2)>", "HLA*01:02")
BASE = "http://127.0.0.1:8765"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A genome, variants with IDs, and a model."""
    made = tmp_path_factory.mktemp("served")
    rng = np.random.default_rng(5)
    bases = {name: "".join(rng.choice(list("ACGT"), 600)) for name in CONTIGS}
    (made / "genome.fa").write_text("".join(f">{k}\n{v}\n" for k, v in bases.items()))
    ref, alt = bases["chr1"][99], "ACGT"["ACGT".index(bases["chr1"][99]) - 1]
    (made / "ids.vcf").write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        f"chr1\t100\trs5;rs6\t{ref}\t{alt}\t.\t.\t.\n"
    )
    model = untrained("danq-small", architecture("danq-small", **SMALL), TRACKS, 40, 10)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weights in model.module.parameters():
            weights.normal_(0, 0.3, generator=generator)
    save_model(made / "model.safetensors", model.module, model.spec)
    return made


@pytest.fixture(scope="session")
def bases(folder: Path) -> dict[str, str]:
    """Bases of each contig."""
    lines = (folder / "genome.fa").read_text().split()
    return {name[1:]: text for name, text in zip(lines[::2], lines[1::2], strict=True)}


@pytest.fixture(scope="session")
def model(folder: Path) -> Model:
    return danq.load(folder / "model.safetensors", device="cpu", precision="fp32", threads=1)


Open = Callable[..., TestClient]


@pytest.fixture
def serve(folder: Path, model: Model) -> Iterator[Open]:
    """Start servers with changed settings, and stop them."""
    with ExitStack() as stack:

        def start(base: str = BASE, **changes: Any) -> TestClient:
            app = make_app(model, folder / "genome.fa", ServerSettings(**changes), warm=False)
            return stack.enter_context(TestClient(app, base_url=base))

        yield start


@pytest.fixture
def client(serve: Open, folder: Path) -> TestClient:
    """A server with IDs of variants."""
    return serve(ids=folder / "ids.vcf")


class User:
    """What a user does with a server.

    Parameters
    ----------
    client
        The server.
    """

    def __init__(self, client: TestClient) -> None:
        self.client = client

    def post(self, task: str, body: str | bytes, **query: str) -> Any:
        """Submit text, or the bytes of a file."""
        kind = "text/plain" if isinstance(body, str) else "application/octet-stream"
        return self.client.post(
            "/api/jobs",
            params={"task": task, **query},
            content=body.encode() if isinstance(body, str) else body,
            headers={"Content-Type": kind},
        )

    def state(self, task: str, body: str | bytes, **query: str) -> dict[str, Any]:
        """State of a job when it ended."""
        response = self.post(task, body, **query)
        assert response.status_code == 202, response.text
        return self.client.get(f"{response.headers['Location']}?wait=30").json()

    def answer(self, task: str, body: str | bytes, part: str = "rows", **query: str) -> Any:
        """Answer of a job."""
        state = self.state(task, body, **query)
        assert state["state"] == "done", state
        response = self.client.get(f"/api/jobs/{state['id']}/{part}")
        assert response.status_code == 200, response.text
        return response.text if part == "table" else response.json()

    def error(self, task: str, body: str | bytes, **query: str) -> str:
        """Why the input is refused, at once or by the job."""
        response = self.post(task, body, **query)
        if response.status_code != 202:
            assert response.status_code == 422, response.text
            return response.json()["error"]
        state = self.client.get(f"{response.headers['Location']}?wait=30").json()
        assert state["state"] == "failed", state
        return state["error"]


@pytest.fixture
def user(client: TestClient) -> User:
    return User(client)
