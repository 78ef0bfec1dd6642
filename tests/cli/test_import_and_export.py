from __future__ import annotations

import safetensors.torch
import torch

from danq.models import architecture, untrained
from danq_cli import main as cli

MAPPING = """
window = 60
bin = 20
[architecture]
filters = 8
width = 9
pool = 12
hidden = 5
dense = [7]
gates = "hard"
"""


def test_an_imported_model_can_be_exported(tmp_path, capsys):
    hyperparameters = architecture(
        "danq", filters=8, width=9, pool=12, hidden=5, dense=(7,), gates="hard"
    )
    module = untrained("danq", hyperparameters, ("a", "b"), 60, 20).module
    weights, mapping = tmp_path / "w.safetensors", tmp_path / "map.toml"
    safetensors.torch.save_file(module.state_dict(), weights)
    mapping.write_text(MAPPING)
    names = tmp_path / "names.txt"
    names.write_text("Reb1\nAbf1\n")
    out, onnx = tmp_path / "m.safetensors", tmp_path / "m.onnx"
    arguments = ["--format", "torch", "--mapping", str(mapping), "--names", str(names)]
    assert cli.run(["import", str(weights), *arguments, "--out", str(out)]) == 0
    assert "danq, 2 tracks, window 60 bp" in capsys.readouterr().out
    name = "head.output.weight"
    assert torch.equal(safetensors.torch.load_file(out)[name], module.state_dict()[name])
    assert cli.run(["export", str(out), "--to", "onnx", "--out", str(onnx)]) == 0
    captured = capsys.readouterr()
    assert "random sequences differ from the model's by at most" in captured.out
    assert "compared 1,000 sequences" in captured.err
    assert cli.run(["export", str(out), "--to", "onnx", "--out", str(onnx)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert onnx.stat().st_size > 1000


def test_import_reports_unreadable_files(tmp_path, capsys):
    weights = tmp_path / "w.hdf5"
    weights.write_text("no HDF5")
    arguments = ["import", str(weights), "--out", str(tmp_path / "m.safetensors")]
    assert cli.run([*arguments, "--format", "keras-danq", "--backward", "reversed"]) == 2
    assert "is a text file, not weights of Keras (HDF5)" in capsys.readouterr().err
    assert cli.run(arguments) == 2
    assert "--format" in capsys.readouterr().err


def test_help_shows_examples(capsys):
    for command in ("import", "export"):
        assert cli.run([command, "--help"]) == 0
        assert f"danq {command} " in capsys.readouterr().out
