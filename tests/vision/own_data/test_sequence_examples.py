from __future__ import annotations

import logging

import numpy as np
import pytest

from danq.errors import InputError
from danq.vision.dataset import SPLITS
from danq.vision.own_data import InputSettings, own_examples, own_inputs
from danq.vision.task_registry import load_task
from danq_cli.main import run
from tests.vision.own_data.test_file_examples import write_table

SENTENCES = [
    (["Anna", "likes", "Köln", "."], ["PER", "O", "LOC", "O"]),
    (["Köln", "is", "old"], ["LOC", "O", "O"]),
    (["Ben", "sleeps"], ["PER", "O"]),
]


def write_tags(path, repeats):
    lines = []
    for number in range(repeats):
        for words, tags in SENTENCES:
            lines += [f"{word}\t{tag}" for word, tag in zip(words, tags, strict=True)]
            lines += [f"{number}\tO", ""]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_tags_per_word(tmp_path):
    task, data = own_examples("sequences", write_tags(tmp_path / "all.txt", 10))
    assert task == "text-tags"
    assert data.metadata["classes"] == ["LOC", "O", "PER"]
    assert data.metadata["lengths"] == {"words": 5}
    assert [len(getattr(data, split)) for split in SPLITS] == [24, 3, 3]
    words, tags = data.train["words"], data.train["tags"]
    np.testing.assert_array_equal(tags >= 0, words > 0)
    city = data.metadata["vocabulary"].index("köln")
    assert set(tags[words == city]) == {0}

    folder = tmp_path / "splits"
    folder.mkdir()
    for name in ("train", "dev", "test"):
        write_tags(folder / f"{name}.conll", 1 if name != "train" else 4)
    _, data = own_examples("sequences", folder)
    assert [len(getattr(data, split)) for split in SPLITS] == [12, 3, 3]
    (tmp_path / "new.txt").write_text("Anna likes Paris\n\nBen\n")
    names, examples = own_inputs("text-tags", tmp_path / "new.txt", data.metadata)
    assert names == ["Anna likes Paris", "Ben"]
    vocabulary = data.metadata["vocabulary"]
    assert [vocabulary[i] for i in examples["words"][0, :3]] == ["anna", "likes", "<unk>"]


def test_a_word_without_a_tag_is_named(tmp_path):
    (tmp_path / "t.conll").write_text("a\tX\nb\tY\n\nc\n")
    with pytest.raises(InputError, match=r"t\.conll, line 4: a word has no tag \('c'\)"):
        own_examples("sequences", tmp_path / "t.conll")


def test_texts_with_classes(tmp_path, caplog):
    rows = [(f"{'good' if n % 2 else 'bad'} thing, number {n}", f"c{n % 2}") for n in range(20)]
    table = write_table(tmp_path / "t.tsv", rows, ("text", "class"))
    task, data = own_examples("sequences", table)
    assert (task, data.metadata["classes"]) == ("text-classes", ["c0", "c1"])
    good = data.metadata["vocabulary"].index("good")
    np.testing.assert_array_equal((data.train["words"] == good).any(axis=1), data.train["label"])
    for text, name in rows:
        path = tmp_path / "folders" / name / f"{text}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    _, other = own_examples("sequences", tmp_path / "folders")
    assert other.metadata == data.metadata
    longer = tmp_path / "new.txt"
    longer.write_text("good good good good good good\n")
    with caplog.at_level(logging.WARNING, "danq"):
        _, examples = own_inputs("text-classes", longer, data.metadata)
    assert "of 1 texts that are longer than 4, the end is left out" in caplog.text
    np.testing.assert_array_equal(examples["words"], [[good] * 4])


def waves(count):
    rng = np.random.default_rng(0)
    return [
        np.stack([np.sin(np.arange(n) * (1 + k % 2)), rng.normal(3, 2, n)], axis=1)
        for k, n in enumerate(rng.integers(10, 30, count))
    ]


def test_series_of_files_and_of_archives_are_equal(tmp_path):
    series = waves(20)
    rows = []
    for k, one in enumerate(series):
        header = "x,y" if k % 3 else ""
        np.savetxt(
            tmp_path / f"{k}.csv", one, delimiter=",", header=header, comments="", fmt="%.17g"
        )
        rows.append((f"{k}.csv", f"c{k % 2}", "train" if k < 12 else "valid" if k < 16 else "test"))
    table = write_table(tmp_path / "t.csv", rows, ("path", "class", "split"))
    task, data = own_examples("sequences", table)
    longest = max(map(len, series[:12]))
    assert (task, data.metadata["shape"]) == ("series-classes", [longest, 2])
    real = data.train["series"][data.train["real"]]
    np.testing.assert_allclose(real.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(real.std(axis=0), 1, atol=1e-4)
    lengths = np.array(list(map(len, series)))
    np.testing.assert_array_equal(data.train["real"].sum(axis=1), lengths[:12])
    names = np.array([row[1] for row in rows])
    splits = np.array([row[2] for row in rows])
    np.savez(
        tmp_path / "a.npz",
        **{"values": np.concatenate(series), "lengths": lengths, "class": names, "split": splits},
    )
    assert own_examples("sequences", tmp_path / "a.npz")[1].sha256 == data.sha256
    whole = np.full((20, 30, 2), np.nan)
    for row, one in zip(whole, series, strict=True):
        row[: len(one)] = one
    np.savez(tmp_path / "b.npz", **{"series": whole, "class": names, "split": splits})
    assert own_examples("sequences", tmp_path / "b.npz")[1].sha256 == data.sha256
    found, examples = own_inputs("series-classes", tmp_path / "3.csv", data.metadata)
    assert found == [str(tmp_path / "3.csv")]
    np.testing.assert_array_equal(examples["series"][0], data.train["series"][3])


def test_values_of_series(tmp_path):
    np.savez(tmp_path / "v.npz", series=np.arange(60.0).reshape(12, 5), value=np.arange(12) / 2)
    task, data = own_examples("sequences", tmp_path / "v.npz")
    assert (task, data.metadata["names"]) == ("series-values", ["value"])
    assert data.train["values"].shape == (10, 1)


def test_bad_series_are_named(tmp_path, caplog):
    for k, one in enumerate(waves(12)):
        path = tmp_path / f"c{k % 2}" / f"{k}.csv"
        path.parent.mkdir(exist_ok=True)
        np.savetxt(path, one, delimiter=",")
    bad = {
        "nan": ("1,2\nnan,2\n", "step 2 of 2 has a value that is missing or not finite"),
        "ragged": ("1,2\n1\n", "the row has 1 numbers, the first one 2"),
        "words": ("1,2\n1,x\n", "a field is not a number"),
        "empty": ("", "is empty"),
    }
    for name, (text, _) in bad.items():
        (tmp_path / "c0" / f"{name}.csv").write_text(text)
    with pytest.raises(InputError, match="4 of 16 files cannot be read") as caught:
        own_examples("sequences", tmp_path)
    for _, problem in bad.values():
        assert problem in str(caught.value)
    with caplog.at_level(logging.WARNING, "danq"):
        _, data = own_examples("sequences", tmp_path, InputSettings(skip_damaged=True))
    assert sum(len(getattr(data, split)) for split in SPLITS) == 12
    (tmp_path / "c0" / "three.csv").write_text("1,2,3\n")
    with pytest.raises(InputError, match=r"three\.csv has 3 channels, others have 2"):
        own_examples("sequences", tmp_path, InputSettings(skip_damaged=True))
    np.savez(tmp_path / "x.npz", values=np.zeros((9, 1)), lengths=[4, 4])
    with pytest.raises(InputError, match="the lengths sum up to 8, but there are 9 steps"):
        own_examples("sequences", tmp_path / "x.npz")
    np.savez(tmp_path / "y.npz", other=np.zeros(3))
    with pytest.raises(InputError, match="has neither 'series' nor 'values' and 'lengths'"):
        own_examples("sequences", tmp_path / "y.npz")
    np.savez(tmp_path / "w.npz", series=np.zeros((9, 4)), classes=["a"] * 9)
    with pytest.raises(InputError, match="has series without classes or values"):
        own_examples("sequences", tmp_path / "w.npz")
    (tmp_path / "z.npz").write_bytes((tmp_path / "x.npz").read_bytes()[:100])
    with pytest.raises(InputError, match=r"z\.npz: is not a readable \.npz file"):
        own_examples("sequences", tmp_path / "z.npz")


def test_equal_texts_stay_together_and_the_real_shares_are_reported(tmp_path, caplog):
    rows = [f"{one} words,{'ab'[one % 2]}" for one in range(6) for _ in range(10)]
    (tmp_path / "texts.csv").write_text("text,class\n" + "\n".join(rows) + "\n")
    with caplog.at_level(logging.INFO, "danq"):
        _, data = own_examples("sequences", tmp_path / "texts.csv")
    assert [len(data.train), len(data.valid), len(data.test)] == [20, 20, 20]
    assert "of 60 examples, 20 (33%) for validation and 20 (33%) for test were drawn" in caplog.text
    assert "because the examples have only 6 different contents or groups" in caplog.text
    assert "only 20 of 60 examples (6 different contents or groups) are for training" in caplog.text


def test_shares_of_small_classes_are_explained(tmp_path, caplog):
    rows = [f"word{one},{'abcd'[one % 4]}" for one in range(12)]
    (tmp_path / "texts.csv").write_text("text,class\n" + "\n".join(rows) + "\n")
    with caplog.at_level(logging.INFO, "danq"):
        own_examples("sequences", tmp_path / "texts.csv")
    assert "of 12 examples, 4 (33%) for validation and 4 (33%) for test" in caplog.text
    assert "because the classes are small" in caplog.text
    assert "only 4 of 12 examples" in caplog.text


def test_a_setting_that_does_not_exist_is_refused_with_the_names_of_all(tmp_path, capsys):
    (tmp_path / "texts.csv").write_text("text,class\na,b\n")
    train = f"vision train --sequences {tmp_path}/texts.csv --set nothing=2 --out {tmp_path}/run"
    assert run(train.split()) == 2
    assert " batch_size, " in (error := capsys.readouterr().err)
    assert " skip_damaged, " in error


def test_a_single_value_is_a_single_column():
    task = load_task("image-values")
    rows = task.rows(np.array([[1.5]]), None, {"names": ["value"]})
    assert rows == [[{"value": 1.5}]]
    assert task.line(rows[0]) == "value 1.5"


def test_series_are_standardised_once(tmp_path):
    rng = np.random.default_rng(0)
    series = rng.normal(1e4, 3.0, (40, 20, 3))
    series[..., 1] = 0.1  # whose mean differs from it by rounding
    series[:20, :, 2] = 0
    classes = np.arange(40) % 2
    np.savez(tmp_path / "a.npz", **{"series": series, "class": classes})
    task, data = own_examples("sequences", tmp_path / "a.npz")
    facts = load_task(task).facts(data)
    assert facts == {"series_mean": [0.0] * 3, "series_scale": [1.0] * 3}
    values = data.train["series"]
    assert np.abs(values.mean(axis=(0, 1))).max() < 1e-3
    np.testing.assert_allclose(values.std(axis=(0, 1)), [1, 0, 1], atol=1e-3)

    # A channel that never changed has no scale: a small change later stays small.
    series[..., 1] = 0.2
    np.save(tmp_path / "b.npy", series[0])
    _, examples = own_inputs(task, tmp_path / "b.npy", data.metadata | facts)
    np.testing.assert_allclose(examples["series"][0, :, 1], 0.1, rtol=1e-5)
