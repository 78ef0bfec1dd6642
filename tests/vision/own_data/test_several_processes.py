from __future__ import annotations

import os
import subprocess
import sys

import numpy as np

from tests.vision.own_data.test_file_examples import write_gif, write_table

SCRIPT = """
import sys
import torch

class NoNorm(torch.nn.Identity):
    pass

# Batch normalisation depends on the number of processes.
torch.nn.BatchNorm2d = NoNorm

from danq import vision
from danq.training import RunSettings
from danq.vision.own_data import InputSettings
from danq.vision.own_files import OwnFiles

source, out, devices = sys.argv[1:]
vision.train(
    data=OwnFiles("videos", source, InputSettings(frames=3, workers=1)),
    out=out,
    settings={"channels": [4], "features": 8, "hidden": 4, "batch_size": 7, "epochs": 3},
    run=RunSettings(device="cpu", devices=int(devices), threads=1, evaluate=False),
)
"""


def losses(folder, devices):
    """Losses of training and validation in each epoch."""
    script = folder / "run.py"
    script.write_text(SCRIPT)
    out = folder / f"run{devices}"
    arguments = [str(script), str(folder / "t.csv"), str(out), str(devices)]
    environment = {n: v for n, v in os.environ.items() if not n.startswith(("SLURM", "TORCHEL"))}
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(__file__))))
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment | {"OMP_NUM_THREADS": "1", "PYTHONPATH": root},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split(",") for line in (out / "metrics.csv").read_text().splitlines()]
    columns = [rows[0].index(name) for name in ("train_loss", "valid_loss")]
    return np.array([[float(row[i]) for i in columns] for row in rows[1:]])


def test_two_processes_train_as_one_on_files(tmp_path):
    rows = []
    for number in range(36):
        levels = [20 + number + i for i in range(1 + number % 3)] + [120 - number, 180, 190]
        write_gif(tmp_path / f"{number}.gif", levels, (8, 8))
        # Shares of a batch have different numbers of frames with a class.
        names = ["dark" if number % 2 else ""] * (1 + number % 3) + ["bright"] * 3
        split = "valid" if number % 6 == 5 else "test" if number % 6 == 4 else "train"
        rows.append((f"{number}.gif", split, ";".join(names)))
    write_table(tmp_path / "t.csv", rows, ("path", "split", "frames"))
    one, two = (losses(tmp_path, devices) for devices in (1, 2))
    assert one.shape == (3, 2)
    np.testing.assert_allclose(two, one, rtol=1e-5)
