from __future__ import annotations

from danq_cli import main as cli


def test_summary_shows_tracks_window_and_parameters(tmp_path, capsys):
    from danq.models import architecture, save_model, untrained

    hyperparameters = architecture("danq-small", filters=8, width=6, hidden=5, dense=[7])
    model = untrained("danq-small", hyperparameters, ("Abf1", "Reb1"), window=100, bin=20)
    training = {"recipe": {"optimizer": "adamw", "lr": 0.004, "patience": 0}, "seed": 3}
    path = tmp_path / "model.safetensors"
    save_model(path, model.module, model.spec.model_copy(update={"training": training}))
    parameters = sum(p.numel() for p in model.module.parameters())

    assert cli.run(["summary", str(path)]) == 0
    text = capsys.readouterr().out
    assert "2: Abf1, Reb1" in text
    assert "100 bp, labels describe the middle 20 bp" in text
    assert f"Total params: {parameters:,}" in text
    assert "training recipe         optimizer adamw, lr 0.004, patience 0\n" in text
    assert "Units" not in text


def test_all_lists_every_track(tmp_path, capsys):
    from danq.models import architecture, save_model, untrained

    hyperparameters = architecture("danq-small", filters=8, width=6, hidden=5, dense=[7])
    names = tuple(f"T{number}" for number in range(12))
    model = untrained("danq-small", hyperparameters, names, window=100, bin=20)
    save_model(tmp_path / "model.safetensors", model.module, model.spec)
    assert cli.run(["summary", str(tmp_path / "model.safetensors")]) == 0
    assert "12: T0, T1, T2, T3, T4, T5, T6, T7, ...\n" in capsys.readouterr().out
    assert cli.run(["summary", str(tmp_path / "model.safetensors"), "--all"]) == 0
    assert f"12: {', '.join(names)}\n" in capsys.readouterr().out


def test_the_file_is_read_once(tmp_path, monkeypatch, capsys):
    from danq.models import architecture, save_model, stored_model, untrained

    path, read = tmp_path / "model.safetensors", stored_model.read_sealed
    model = untrained("danq-small", architecture("danq-small"), ("Abf1",), window=100, bin=20)
    save_model(path, model.module, model.spec)
    files = []
    monkeypatch.setattr(
        stored_model, "read_sealed", lambda file, **more: files.append(file) or read(file, **more)
    )
    assert cli.run(["summary", str(path)]) == 0
    assert files == [path]


def test_a_file_that_is_not_a_model_is_refused(tmp_path, capsys):
    path = tmp_path / "notes.txt"
    path.write_text("not a model")
    assert cli.run(["summary", str(path)]) == 2
    err = capsys.readouterr().err
    assert str(path) in err
    assert "Traceback" not in err
