"""Keras 0.2's DanQ files against a float64 forward written from that Keras's documentation."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

import danq
from danq.errors import InputError
from danq.models.weight_import import BACKWARD, InputLayout, import_weights

POOL = {"keras-danq": 13, "keras-danq-jaspar": 15}
OUTPUT = {"keras-danq": 8, "keras-danq-jaspar": 7}
SMALL = InputLayout(window=150, bin=50)


@dataclass
class Keras:
    """Layers of the file, and how Keras 0.2 on Theano computed with them.

    The fields after ``layers`` are what a reader may overlook; each can be switched off.
    """

    format: str
    window: int
    layers: dict[int, list[np.ndarray]] = field(default_factory=dict)
    true_convolution: bool = True
    bases: str = "AGCT"
    hard_gates: bool = True
    scaled_by_dropout: bool = True
    gate_order: str = "icfo"
    backward: str = "reversed"

    def fill(self, filters, width, hidden, dense, tracks, seed=0) -> Keras:
        rng = np.random.default_rng(seed)
        steps = (self.window - width + 1) // POOL[self.format]

        def draw(*shape, scale=None):
            scale = 1 / np.sqrt(np.prod(shape[:-1])) if scale is None else scale
            return rng.normal(scale=scale, size=shape).astype(np.float32)

        def direction():
            return [
                part
                for _ in range(4)
                for part in (
                    draw(filters, hidden, scale=3 / np.sqrt(filters)),
                    draw(hidden, hidden, scale=2 / np.sqrt(hidden)),
                    draw(hidden, scale=0.5),
                )
            ]

        self.layers = {
            0: [draw(filters, 4, width, 1, scale=0.3), draw(filters, scale=0.3)],
            3: direction() + direction(),
            6: [draw(2 * hidden * steps, dense, scale=3 / np.sqrt(hidden * steps)), draw(dense)],
            OUTPUT[self.format]: [draw(dense, tracks, scale=3 / np.sqrt(dense)), draw(tracks)],
        }
        return self

    def write(self, path: Path) -> Path:
        with h5py.File(path, "w") as file:
            count = OUTPUT[self.format] + 2
            file.attrs["nb_layers"] = count
            for number in range(count):
                group = file.create_group(f"layer_{number}")
                arrays = self.layers.get(number, [])
                group.attrs["nb_params"] = len(arrays)
                for n, array in enumerate(arrays):
                    group.create_dataset(f"param_{n}", data=array)
        return path

    def predict(self, codes: np.ndarray) -> np.ndarray:
        """Probabilities in float64."""
        (conv, conv_bias), lstm = self.layers[0], self.layers[3]
        one_hot = np.stack([codes == "ACGT".index(base) for base in self.bases], axis=1) * 1.0
        x = self._convolve(one_hot, conv[..., 0].astype(float)) + conv_bias[:, None]
        x = np.maximum(x, 0)
        pool = POOL[self.format]
        steps = x.shape[2] // pool
        x = x[:, :, : steps * pool].reshape(*x.shape[:2], steps, pool).max(axis=3)
        x = x.transpose(0, 2, 1)  # (samples, steps, filters)
        x = x * (0.8 if self.scaled_by_dropout else 1.0)
        first = self._lstm(x, lstm[:12])
        if self.backward == "forward-twice":
            second = self._lstm(x, lstm[12:])
        else:
            second = self._lstm(x[:, ::-1], lstm[12:])
            if self.backward == "reversed":
                second = second[:, ::-1]
        x = np.concatenate([first, second], axis=2)
        x = x * (0.5 if self.scaled_by_dropout else 1.0)
        x = x.reshape(len(x), -1)
        w, b = (array.astype(float) for array in self.layers[6])
        x = np.maximum(x @ w + b, 0)
        w, b = (array.astype(float) for array in self.layers[OUTPUT[self.format]])
        return 1 / (1 + np.exp(-(x @ w + b)))

    def _convolve(self, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Theano's conv2d: a convolution in the mathematical sense, as numpy's."""
        slide = np.convolve if self.true_convolution else np.correlate
        out = np.zeros((len(x), len(weight), x.shape[2] - weight.shape[2] + 1))
        for b, f, c in np.ndindex(len(x), len(weight), 4):
            out[b, f] += slide(x[b, c], weight[f, c], "valid")
        return out

    def _lstm(self, x: np.ndarray, arrays: list[np.ndarray]) -> np.ndarray:
        def inner(z):
            return np.clip(0.2 * z + 0.5, 0, 1) if self.hard_gates else 1 / (1 + np.exp(-z))

        parts = {
            name: [a.astype(float) for a in arrays[3 * n : 3 * n + 3]]
            for n, name in enumerate(self.gate_order)
        }
        units = parts["i"][1].shape[0]
        h = c = np.zeros((len(x), units))
        out = np.zeros((*x.shape[:2], units))
        for t in range(x.shape[1]):
            z = {name: x[:, t] @ w + b + h @ u for name, (w, u, b) in parts.items()}
            c = inner(z["f"]) * c + inner(z["i"]) * np.tanh(z["c"])
            h = inner(z["o"]) * np.tanh(c)
            out[:, t] = h
        return out


def sequences(rows: int, window: int) -> np.ndarray:
    return np.random.default_rng(9).integers(0, 5, (rows, window)).astype(np.uint8)


def ours(model: danq.models.Model, codes: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return model.module(torch.from_numpy(codes)).sigmoid().numpy()


def small(format: str, **changes) -> Keras:
    return replace(Keras(format, 150).fill(12, 9, 7, 10, 5), **changes)


@pytest.mark.parametrize("backward", BACKWARD)
@pytest.mark.parametrize("format", POOL)
def test_predictions_are_those_of_the_independent_forward(format, backward, tmp_path):
    keras = small(format, backward=backward)
    file = keras.write(tmp_path / "weights.hdf5")
    model = import_weights(
        file, tmp_path / "m.safetensors", format=format, backward=backward, layout=SMALL
    )
    codes = sequences(20, 150)
    right = keras.predict(codes)
    np.testing.assert_allclose(ours(model, codes), right, atol=1e-5, rtol=0)
    assert right.std(axis=0).max() > 0.02  # the tracks do depend on the sequence
    with torch.enable_grad():  # by torch's operators instead of the fused pass
        slow = model.module(torch.from_numpy(codes)).sigmoid().detach().numpy()
    np.testing.assert_allclose(slow, right, atol=1e-5, rtol=0)
    again = danq.write_predictions(
        model, write_fasta(codes, tmp_path / "x.fa"), tmp_path / "out.tsv"
    )
    assert again.rows == 20


def write_fasta(codes: np.ndarray, path: Path) -> Path:
    rows = ("".join("ACGTN"[code] for code in row) for row in codes)
    path.write_text("".join(f">s{n}\n{row}\n" for n, row in enumerate(rows)))
    return path


@pytest.mark.parametrize(
    "overlooked",
    [
        {"true_convolution": False},
        {"bases": "ACGT"},
        {"hard_gates": False},
        {"scaled_by_dropout": False},
        {"gate_order": "ifco"},
        {"backward": "reversed"},
        {"backward": "reversed-output"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_overlooked_detail_changes_predictions(overlooked, tmp_path):
    keras = small("keras-danq", backward="forward-twice")
    codes = sequences(20, 150)
    right = keras.predict(codes)
    wrong = replace(keras, **overlooked).predict(codes)
    model = import_weights(
        keras.write(tmp_path / "w.hdf5"),
        tmp_path / "m.safetensors",
        format="keras-danq",
        backward="forward-twice",
        layout=SMALL,
    )
    assert np.abs(ours(model, codes) - right).max() < 1e-5
    assert np.abs(right - wrong).max() > 1e-2


@pytest.mark.parametrize(
    ("format", "sizes", "numbers"),
    [
        ("keras-danq", (320, 26, 320, 925, 919), 46_926_479),
        pytest.param(
            "keras-danq-jaspar", (1024, 30, 512, 925, 919), 67_892_175, marks=pytest.mark.slow
        ),
    ],
)
def test_the_published_sizes(format, sizes, numbers, tmp_path):
    keras = Keras(format, 1000, backward="forward-twice").fill(*sizes)
    assert sum(a.size for arrays in keras.layers.values() for a in arrays) == numbers
    model = import_weights(
        keras.write(tmp_path / "w.hdf5"),
        tmp_path / "m.safetensors",
        format=format,
        backward="forward-twice",
    )
    codes = sequences(3, 1000)
    np.testing.assert_allclose(ours(model, codes), keras.predict(codes), atol=1e-5, rtol=0)
    assert model.spec.preset == format.removeprefix("keras-")
    assert (model.window, model.spec.bin, len(model.tracks)) == (1000, 200, 919)


def test_the_header_records_the_import(tmp_path, caplog):
    caplog.set_level(logging.INFO, "danq")
    file = small("keras-danq").write(tmp_path / "w.hdf5")
    names = tmp_path / "names.txt"
    names.write_text("# cell|mark|treatment\nA\tDNase\nB\tTF\n\nA\tTF\nC\nD\n")
    model = import_weights(
        file, tmp_path / "m.safetensors", format="keras-danq", tracks=names, layout=SMALL
    )
    assert model.tracks == ("A|1", "B", "A|3", "C", "D")
    assert model.spec.groups == ("DNase", "TF", "TF", "", "")
    assert model.spec.architecture.second_direction == "forward"
    assert model.spec.training["imported_from"] == "w.hdf5"
    assert model.spec.training["imported_backward"] == "forward-twice"
    assert "AUROC .91325 and AUPR .41844" in caplog.text
    assert "imported_format" in danq.summary(model)


def refuse(file: Path, tmp_path: Path, match: str, **changes) -> InputError:
    options = {"format": "keras-danq", "backward": "reversed", "layout": SMALL}
    with pytest.raises(InputError, match=match) as caught:
        import_weights(file, tmp_path / "m.safetensors", **{**options, **changes})
    assert not (tmp_path / "m.safetensors").exists()
    return caught.value


@pytest.mark.parametrize(
    ("layer", "param", "change", "match"),
    [
        (0, 0, lambda a: a[..., 0], r"shape is \(12, 4, 9\), not \(any, 4, any, 1\)"),
        (0, 0, lambda a: a[:, :3], r"shape is \(12, 3, 9, 1\)"),
        (0, 1, lambda a: a[:-1], r"layer_0/param_1.*shape is \(11,\), not \(12\)"),
        (3, 4, lambda a: a[:, :-1], r"layer_3/param_4.*shape"),
        (3, 14, lambda a: a[:-1], r"layer_3/param_14.*shape"),
        (6, 0, lambda a: a[:-14], r"reads 126 values.* leaves 10 steps of 14"),
        (6, 0, lambda a: a.astype(np.int32), r"holds int32, not floating-point"),
        (8, 1, lambda a: a * np.nan, r"NaN or an infinite"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(layer, param, change, match, tmp_path):
    keras = small("keras-danq")
    keras.layers[layer][param] = change(keras.layers[layer][param])
    with np.errstate(invalid="ignore"):
        error = refuse(keras.write(tmp_path / "w.hdf5"), tmp_path, match)
    assert error.record == f"layer_{layer}/param_{param}"


def test_layers_that_do_not_fit_are_refused(tmp_path):
    keras = small("keras-danq")
    keras.layers[3] = keras.layers[3][:12]
    file = keras.write(tmp_path / "w.hdf5")
    refuse(file, tmp_path, "its layers hold 2, 12, 2, 2 arrays, not 2, 24, 2, 2")
    with h5py.File(file, "a") as opened:
        del opened["layer_4"]
    refuse(file, tmp_path, "record 'layer_4': a group is missing")
    file = small("keras-danq").write(tmp_path / "w2.hdf5")
    with h5py.File(file, "a") as opened:
        del opened["layer_6/param_1"]
    refuse(file, tmp_path, "record 'layer_6/param_1': an array is missing")
    with h5py.File(file, "a") as opened:
        opened["layer_0"].attrs["nb_params"] = "two"
    refuse(file, tmp_path, "'nb_params' is two, not a small number")


def test_the_other_model_is_refused(tmp_path):
    file = small("keras-danq").write(tmp_path / "w.hdf5")
    refuse(file, tmp_path, "leaves 9 steps", format="keras-danq-jaspar")
    refuse(file, tmp_path, "a window of 1,000 bases leaves 76 steps", layout=InputLayout(1000, 50))


def test_files_of_another_kind_are_refused(tmp_path):
    file = tmp_path / "w.hdf5"
    refuse(file, tmp_path, "no such file")
    file.write_text("no HDF5")
    refuse(file, tmp_path, "is a text file, not weights of Keras")
    small("keras-danq").write(file)
    file.write_bytes(file.read_bytes()[:-500])
    refuse(file, tmp_path, "truncated")
    with h5py.File(file, "w") as opened:
        opened.attrs["layer_names"] = ["conv"]
    refuse(file, tmp_path, "weights of a newer Keras")
    with h5py.File(file, "w"):
        pass
    refuse(file, tmp_path, "without Keras's 'nb_layers'")


def test_invalid_options_are_refused(tmp_path):
    file = small("keras-danq").write(tmp_path / "w.hdf5")
    refuse(file, tmp_path, "no format is named 'keras'", format="keras")
    refuse(
        file,
        tmp_path,
        "backward LSTM is named 'sideways'",
        backward="sideways",
    )
    refuse(file, tmp_path, "mapping was given", mapping=tmp_path / "m.toml")
    refuse(file, tmp_path, "needs a mapping", format="torch", backward=None)
    refuse(file, tmp_path, "only Keras files", format="selene-danq")
    refuse(file, tmp_path, "channel order is 'ACGU'", layout=SMALL._replace(bases="ACGU"))
    refuse(file, tmp_path, "bin of 300 bases", layout=InputLayout(150, 300))
    names = tmp_path / "names.txt"
    names.write_text("A\nB\n")
    refuse(file, tmp_path, "2 names for 5 tracks", tracks=names)
    names.write_text("A\n\tTF\n")
    assert refuse(file, tmp_path, "not a name and an optional group", tracks=names).line == 2
    refuse(file, tmp_path, "no such file", tracks=tmp_path / "none.txt")


def test_an_existing_output_is_kept(tmp_path):
    file = small("keras-danq").write(tmp_path / "w.hdf5")
    out = tmp_path / "m.safetensors"
    out.write_text("mine")
    options = {"format": "keras-danq", "backward": "reversed", "layout": SMALL}
    with pytest.raises(InputError, match="exists already"):
        import_weights(file, out, **options)
    assert out.read_text() == "mine"
    assert import_weights(file, out, **options, overwrite=True).window == 150
