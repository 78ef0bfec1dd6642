"""Selene's checkpoints and torch states by a mapping, against modules written here."""

from __future__ import annotations

import io
import logging
import math
import pickle
import zipfile
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

import danq
from danq.errors import InputError
from danq.models.weight_import import InputLayout, import_weights
from danq.models.weight_import.torch_tensors import read_tensors

WINDOW = 200
OPTIONS: dict[str, Any] = {"layout": InputLayout(WINDOW, 50)}


class SeleneDanQ(nn.Module):
    """Selene's module with fewer units; ``corrected`` lets the LSTM run along the sequence."""

    def __init__(self, tracks: int = 4, filters: int = 6, units: int = 5, dense: int = 7) -> None:
        super().__init__()
        self.nnet = nn.Sequential(
            nn.Conv1d(4, filters, 26), nn.ReLU(), nn.MaxPool1d(13, 13), nn.Dropout(0.2)
        )
        lstm = nn.LSTM(filters, units, num_layers=1, batch_first=True, bidirectional=True)
        self.bdlstm = nn.Sequential(lstm)
        self.steps = math.floor((WINDOW - 25) / 13)
        self.classifier = nn.Sequential(
            nn.Dropout(0.5),
            nn.Linear(self.steps * 2 * units, dense),
            nn.ReLU(),
            nn.Linear(dense, tracks),
            nn.Sigmoid(),
        )

    def forward(self, x, corrected=True):
        out = self.nnet(x)
        if corrected:
            out, _ = self.bdlstm(out.transpose(1, 2))
        else:
            out, _ = self.bdlstm(out.transpose(0, 1).transpose(0, 2))
            out = out.transpose(0, 1)
        return self.classifier(out.reshape(len(x), -1))


class SeleneDeepSEA(nn.Module):
    """Selene's DeepSEA with fewer channels, in both versions of its file."""

    def __init__(self, normal: bool, tracks: int = 8, channels=(6, 8, 10)) -> None:
        super().__init__()
        a, b, c = channels
        one = [nn.Conv1d(4, a, 8), nn.ReLU(), nn.MaxPool1d(4, 4)]
        two = [nn.Conv1d(a, b, 8), nn.ReLU(), nn.MaxPool1d(4, 4)]
        three = [nn.Conv1d(b, c, 8), nn.ReLU()]
        if normal:
            one, two = [*one, nn.BatchNorm1d(a)], [*two, nn.BatchNorm1d(b), nn.Dropout(0.2)]
            three += [nn.BatchNorm1d(c)]
        else:
            one, two = [*one, nn.Dropout(0.2)], [*two, nn.Dropout(0.2)]
        self.normal = normal
        self.conv_net = nn.Sequential(*one, *two, *three, nn.Dropout(0.5))
        steps = ((WINDOW - 7) // 4 - 7) // 4 - 7
        end = [nn.BatchNorm1d(tracks)] if normal else []
        self.classifier = nn.Sequential(
            nn.Linear(c * steps, tracks), nn.ReLU(), *end, nn.Linear(tracks, tracks), nn.Sigmoid()
        )

    def forward(self, x):
        if self.normal:
            for layer in self.modules():
                if isinstance(layer, nn.Conv1d | nn.Linear):
                    layer.weight.data.renorm_(2, 0, 0.9)
        return self.classifier(self.conv_net(x).flatten(1))


def shaken(module: nn.Module, seed: int = 0) -> nn.Module:
    """Weights large enough that every layer matters, and statistics that were really learnt."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for value in module.parameters():
            value.normal_(0, 0.6)
        for layer in module.modules():
            if isinstance(layer, nn.BatchNorm1d):
                layer.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
                layer.running_var.uniform_(0.005, 0.02)  # type: ignore[union-attr]
    return module.eval()


def windows(rows: int = 12, window: int = WINDOW) -> np.ndarray:
    return np.random.default_rng(4).integers(0, 5, (rows, window)).astype(np.uint8)


def encoded(codes: np.ndarray, bases: str = "ACGT", unknown: float = 0.25) -> torch.Tensor:
    table = np.full((5, 4), unknown)
    table[:4] = [[base == channel for channel in bases] for base in "ACGT"]
    return torch.from_numpy(table[codes].transpose(0, 2, 1).astype(np.float32))


def ours(model: danq.models.Model, codes: np.ndarray) -> torch.Tensor:
    with torch.inference_mode():
        return model.module(torch.from_numpy(codes)).sigmoid()


def checkpoint(path, module, prefix="model."):
    """As Selene writes it, the loss a numpy number."""
    state = {prefix + name: value for name, value in module.state_dict().items()}
    optimizer = torch.optim.RMSprop(module.parameters()).state_dict()
    whole = {
        "step": 8000,
        "arch": type(module).__name__,
        "state_dict": state,
        "min_loss": np.float64(0.1),
        "optimizer": optimizer,
    }
    torch.save(whole, path)
    return path


@pytest.mark.parametrize("prefix", ["", "model.", "module.model."])
def test_selene_danq_is_the_module_in_its_corrected_layout(prefix, tmp_path, caplog):
    module = shaken(SeleneDanQ())
    file = checkpoint(tmp_path / "best_model.pth.tar", module, prefix)
    model = import_weights(file, tmp_path / "m.safetensors", format="selene-danq", **OPTIONS)
    codes = windows()
    with torch.no_grad():
        right = module(encoded(codes))
        as_it_runs = module(encoded(codes), corrected=False)
    torch.testing.assert_close(ours(model, codes), right, atol=1e-5, rtol=0)
    assert (right - as_it_runs).abs().max() > 0.01
    assert "depend on the other sequences of the batch" in caplog.text
    assert [r.levelname for r in caplog.records if "other sequences" in r.message] == ["WARNING"]
    assert model.spec.architecture.unknown == 0.25


@pytest.mark.parametrize("normal", [True, False])
@pytest.mark.parametrize("bases", ["ACGT", "AGCT"])
def test_selene_deepsea_is_the_module(normal, bases, tmp_path):
    module = shaken(SeleneDeepSEA(normal))
    file = checkpoint(tmp_path / "best_model.pth.tar", module)
    model = import_weights(
        file,
        tmp_path / "m.safetensors",
        format="selene-deepsea",
        layout=InputLayout(WINDOW, 50, bases),
    )
    codes = windows()
    with torch.no_grad():
        right = module(encoded(codes, bases))
    torch.testing.assert_close(ours(model, codes), right, atol=1e-5, rtol=0)
    assert right.std(dim=0).max() > 0.02
    assert model.spec.preset == "deepsea"


def refuse(file, tmp_path, match, format="selene-danq", **changes):
    with pytest.raises(InputError, match=match) as caught:
        import_weights(file, tmp_path / "m.safetensors", format=format, **{**OPTIONS, **changes})
    assert not (tmp_path / "m.safetensors").exists()
    return caught.value


def test_checkpoints_that_do_not_fit_are_refused(tmp_path):
    file = tmp_path / "c.pth.tar"
    module = shaken(SeleneDanQ())
    checkpoint(file, module)
    refuse(file, tmp_path, "lacks arrays classifier.0.bias", format="selene-deepsea")
    refuse(
        file,
        tmp_path,
        "a window of 1,000 bases leaves 75 steps of 10",
        layout=InputLayout(1000, 50),
    )
    state = module.state_dict()
    torch.save({**state, "extra": torch.zeros(2)}, file)
    refuse(file, tmp_path, "has additional arrays extra")
    torch.save({**state, "nnet.0.bias": torch.zeros(5)}, file)
    refuse(file, tmp_path, r"nnet.0.bias.*shape is \(5,\), not \(6\)")
    torch.save({**state, "nnet.0.bias": torch.zeros(6, dtype=torch.int64)}, file)
    refuse(file, tmp_path, "holds int64, not floating-point")
    torch.save({**state, "classifier.3.bias": torch.full((4,), math.inf)}, file)
    refuse(file, tmp_path, "NaN or an infinite number")
    checkpoint(file, shaken(SeleneDeepSEA(True)))
    refuse(file, tmp_path, "lacks arrays bdlstm")


class Spy:
    """Pickled, it would call something when it is loaded."""

    calls = 0

    def __reduce__(self):
        return _called, ()


def _called():
    Spy.calls += 1
    return {}


def test_nothing_is_ever_unpickled(tmp_path):
    file = tmp_path / "c.pth.tar"
    state = shaken(SeleneDanQ()).state_dict()
    torch.save({"state_dict": state, "arch": Spy()}, file)
    refuse(file, tmp_path, "holds objects other than tensors, which are not loaded")
    torch.save(shaken(SeleneDanQ()), file)
    refuse(file, tmp_path, "holds objects other than tensors")
    file.write_bytes(pickle.dumps(Spy(), protocol=2))
    refuse(file, tmp_path, "holds objects other than tensors|not a readable torch file")
    assert Spy.calls == 0


def test_files_that_are_not_checkpoints_are_refused(tmp_path):
    file = tmp_path / "c.pth.tar"
    checkpoint(file, shaken(SeleneDanQ()))
    file.write_bytes(file.read_bytes()[:-2000])
    refuse(file, tmp_path, "not a readable torch file.*truncated")
    file.write_text("nothing of the kind")
    refuse(file, tmp_path, "c.pth.tar: ")
    file.write_bytes(b"")
    refuse(file, tmp_path, "is empty")
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "a")
    refuse(file, tmp_path, "not a readable torch file")
    for other in ([1, 2], {"a": 1}, torch.zeros(3)):
        torch.save(other, file)
        refuse(file, tmp_path, "has no named tensors")
    plain = tmp_path / "c.safetensors"
    plain.write_bytes(b"short")
    refuse(plain, tmp_path, "not a readable safetensors file")


class Other(nn.Module):
    """Somebody's own CNN-RNN: GRU, one more dense layer, N as zeros, channels A, G, C, T."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Conv1d(4, 6, 11)
        self.reader = nn.GRU(6, 5, batch_first=True, bidirectional=True)
        self.hidden = nn.ModuleList([nn.Linear(10 * 20, 9), nn.Linear(9, 8)])
        self.tracks = nn.Linear(8, 3, bias=False)

    def forward(self, x):
        x = nn.functional.max_pool1d(self.filters(x).relu(), 6).transpose(1, 2)
        x = self.reader(x)[0].transpose(1, 2).flatten(1)  # features change slowest
        for layer in self.hidden:
            x = layer(x).relu()
        return self.tracks(x).sigmoid()


MAPPING = """
preset = "danq"
window = 130
bin = 40
bases = "AGCT"
flatten = "features"

[architecture]
filters = 6
width = 11
pool = 6
temporal = "gru"
hidden = 5
dense = [9, 8]

[weights]
"encoder.weight" = "filters.weight"
"encoder.bias" = "filters.bias"
"head.body.0.weight" = "hidden.0.weight"
"head.body.0.bias" = "hidden.0.bias"
"head.body.2.weight" = "hidden.1.weight"
"head.body.2.bias" = "hidden.1.bias"
"head.output.weight" = "tracks.weight"
"head.output.bias" = "zeros"
""" + "\n".join(
    f'"temporal.rnn.{part}_{kind}_l0{ending}" = "reader.{part}_{kind}_l0{ending}"'
    for part in ("weight", "bias")
    for kind in ("ih", "hh")
    for ending in ("", "_reverse")
)


@pytest.fixture
def other(tmp_path):
    module = shaken(Other())
    torch.save(module.state_dict(), tmp_path / "other.pt")
    (tmp_path / "map.toml").write_text(MAPPING)
    return module


@pytest.mark.parametrize("ending", [".pt", ".safetensors"])
def test_a_mapped_state_is_the_module(ending, other, tmp_path, caplog):
    caplog.set_level(logging.INFO, "danq")
    file = tmp_path / f"other{ending}"
    if ending == ".safetensors":
        safetensors.torch.save_file({**other.state_dict(), "left": torch.zeros(1)}, file)
    model = import_weights(
        file, tmp_path / "m.safetensors", format="torch", mapping=tmp_path / "map.toml"
    )
    codes = windows(window=130)
    with torch.no_grad():
        right = other(encoded(codes, "AGCT", 0.0))
    torch.testing.assert_close(ours(model, codes), right, atol=1e-5, rtol=0)
    assert (model.window, model.spec.bin, model.tracks) == (130, 40, ("track1", "track2", "track3"))
    assert ("does not use these arrays of the file: left" in caplog.text) == (
        ending == ".safetensors"
    )


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ('preset = "danq"', 'preset = "danube"', "no preset is named 'danube'"),
        ("window = 130", "", "window: Field required"),
        ("window = 130", "window = 130\ncolour = 1", "colour: there is no setting"),
        ("window = 130", "window = ", "not valid TOML"),
        ("hidden = 5", "hidden = 6", r"reader.weight_ih_l0.*shape is \(15, 6\), not \(18, 6\)"),
        ("pool = 6", "pool = 7", r"hidden.0.weight.*shape"),
        ('"encoder.weight"', '"encoder.weigth"', "names 'encoder.weigth', which this architecture"),
        (
            '= "filters.bias"',
            '= "filters.b"',
            "array 'filters.b', mapped to 'encoder.*', is missing",
        ),
        ('= "tracks.weight"', '= "tracks.w"', "'head.output.weight' .* is not mapped"),
        ('"AGCT"', '"AGCC"', "channel order is 'AGCC'"),
        ("dense = [9, 8]", 'dense = [9, 8]\npooling = "mean"', "hidden.0.weight.*shape"),
    ],
)
def test_mappings_that_do_not_fit_are_refused(old, new, match, other, tmp_path):
    mapping = tmp_path / "map.toml"
    mapping.write_text(MAPPING.replace(old, new, 1))
    with pytest.raises(InputError, match=match):
        import_weights(
            tmp_path / "other.pt", tmp_path / "m.safetensors", format="torch", mapping=mapping
        )


def test_a_missing_mapping_is_refused(other, tmp_path):
    with pytest.raises(InputError, match="none.toml: no such file"):
        import_weights(
            tmp_path / "other.pt", tmp_path / "m", format="torch", mapping=tmp_path / "none.toml"
        )


def test_half_precision_is_read(tmp_path):
    module = shaken(SeleneDanQ()).to(torch.bfloat16)
    stream = io.BytesIO()
    torch.save(module.state_dict(), stream)
    (tmp_path / "half.pt").write_bytes(stream.getvalue())
    model = import_weights(
        tmp_path / "half.pt", tmp_path / "m.safetensors", format="selene-danq", **OPTIONS
    )
    codes = windows()
    with torch.no_grad():
        right = module.float()(encoded(codes))
    torch.testing.assert_close(ours(model, codes), right, atol=1e-5, rtol=0)


WRAPPERS = {
    "module.": "DataParallel",
    "_orig_mod.": "torch.compile",
    "module._orig_mod.": "DataParallel of a compiled model",
    "model._orig_mod.module.": "a compiled model in a Lightning module",
}


@pytest.mark.parametrize("entry", [None, "state_dict", "model_state_dict", "model"])
@pytest.mark.parametrize("prefix", WRAPPERS)
def test_what_wrappers_add_to_names_is_removed_with_a_notice(
    prefix: str, entry: str | None, tmp_path, caplog
):
    state = shaken(SeleneDanQ()).state_dict()
    wrapped = {f"{prefix}{name}": value for name, value in state.items()}
    file = tmp_path / "c.pt"
    torch.save(wrapped if entry is None else {entry: wrapped, "epoch": 3}, file)
    caplog.set_level("INFO", "danq")
    found = read_tensors(file)
    assert list(found) == list(state)
    assert all(torch.equal(found[name], value) for name, value in state.items())
    [text] = caplog.messages
    assert str(file) in text
    assert all(f"'{part}.'" in text for part in prefix.rstrip(".").split("."))


def test_a_compiled_part_of_a_model_is_recognised(tmp_path):
    state = shaken(SeleneDanQ()).state_dict()
    wrapped = {name.replace("nnet.", "nnet._orig_mod."): value for name, value in state.items()}
    safetensors.torch.save_file(wrapped, tmp_path / "c.safetensors")
    assert set(read_tensors(tmp_path / "c.safetensors")) == set(state)


def test_an_averaged_model_is_recognised(tmp_path):
    module = shaken(SeleneDanQ())
    averaged = torch.optim.swa_utils.AveragedModel(module)
    torch.save(averaged.state_dict(), tmp_path / "c.pt")
    assert set(read_tensors(tmp_path / "c.pt")) == set(module.state_dict())


def test_a_prefix_of_some_names_is_kept(tmp_path, caplog):
    caplog.set_level("INFO", "danq")
    torch.save({"model.a": torch.ones(2), "loss.b": torch.ones(2)}, tmp_path / "c.pt")
    assert set(read_tensors(tmp_path / "c.pt")) == {"model.a", "loss.b"}
    assert caplog.messages == []


def test_a_mapping_may_have_the_names_of_the_wrapper(other, tmp_path):
    state = {f"module.{name}": value for name, value in other.state_dict().items()}
    torch.save(state, tmp_path / "wrapped.pt")
    texts = {"plain.toml": MAPPING, "wrapped.toml": MAPPING.replace('= "', '= "module.')}
    texts["wrapped.toml"] = texts["wrapped.toml"].replace("module.zeros", "zeros")
    for word in ("danq", "AGCT", "features", "gru"):
        texts["wrapped.toml"] = texts["wrapped.toml"].replace(f"module.{word}", word, 1)
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        model = import_weights(
            tmp_path / "wrapped.pt",
            tmp_path / f"{name}.safetensors",
            format="torch",
            mapping=tmp_path / name,
        )
        codes = windows(window=130)
        with torch.no_grad():
            right = other(encoded(codes, "AGCT", 0.0))
        torch.testing.assert_close(ours(model, codes), right, atol=1e-5, rtol=0)
