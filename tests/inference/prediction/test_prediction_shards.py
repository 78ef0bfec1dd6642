"""Merged shards of predictions equal a run without shards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from danq.errors import InputError
from danq.files.pipes import copied_pipes
from danq.inference import Hdf5Storage, OneHotFile, Regions, Tiles, write_predictions
from danq.inference.blocks import Shard
from danq.inference.engine import forward
from danq.inference.ensemble import Ensemble
from danq.inference.merge_shards import merge
from danq.inference.prediction import row_blocks
from danq.models import Model, TargetGroup, architecture, untrained
from tests.inference.conftest import Toy
from tests.inference.engine.test_pipeline import Asynchronous
from tests.output_contents import output_content
from tests.watched import watched

BATCH = 3
FORMATS = ("out.tsv", "out.tsv.gz", "out.parquet", "out.h5", "tracks")


@pytest.fixture
def small_blocks(monkeypatch) -> None:
    """Shards store two batches at once, and outputs are written five batches at a time."""
    monkeypatch.setattr(row_blocks, "BLOCK_ROWS", 2 * BATCH)
    monkeypatch.setattr(row_blocks, "rows_per_write", lambda *_: 5 * BATCH)


@pytest.fixture
def inputs(genome, tmp_path: Path) -> dict[str, Any]:
    bed = tmp_path / "some.bed"
    bed.write_text("".join(f"chrIV\t{5 * n}\t{5 * n + 5}\tr{n}\n" for n in range(23)))
    records = tmp_path / "records.fa"
    letters = np.random.default_rng(0).choice(list("ACGTN"), 200)
    lengths = (70, 20, 3, 41, 133, 7, 1)
    records.write_text("".join(f">s{n}\n{''.join(letters[:n])}\n" for n in lengths))
    with h5py.File(tmp_path / "x.h5", "w") as file:
        hot = np.random.default_rng(0).integers(0, 4, (31, 20))
        file["testxdata"] = (hot[:, None, :] == np.arange(4)[:, None]).astype(np.uint8)
    return {
        "tiles": Tiles(genome, 7),
        "region": Tiles(genome, 7, "chrIV:11-150"),
        "bed": Regions(bed, genome),
        "records": records,
        "arrays": OneHotFile(tmp_path / "x.h5"),
        "memory": {"a": "ACGT" * 20, "b": "GGA"},
    }


def write_shards(model: Any, source: Any, out: Path, count: int, **options: Any) -> None:
    for index in range(1, count + 1):
        write_predictions(model, source, out, shard=Shard(index, count), **options)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("kind", ["tiles", "region", "bed", "records", "arrays", "memory"])
def test_merged_shards_equal_one_run(small_model, inputs, tmp_path, kind):
    models = [small_model(window=20, seed=seed).with_options(batch_size=BATCH) for seed in (0, 1)]
    source = inputs[kind]
    for number, name in enumerate(FORMATS):
        if name == "tracks" and kind in ("records", "arrays", "memory"):
            continue
        model = models if number % 2 else models[0]
        one, many = tmp_path / "one" / name, tmp_path / "many" / name
        one.parent.mkdir(exist_ok=True)
        many.parent.mkdir(exist_ok=True)
        written = write_predictions(model, source, one)
        write_shards(model, source, many, 3)
        done = merge(many)
        assert done.output == written._replace(path=many)
        assert output_content(many) == output_content(one), name
        shards = [Shard(index, 3).folder(many) for index in (1, 2, 3)]
        assert all(folder.is_dir() for folder in shards)


@settings(max_examples=10, deadline=None)
@given(count=st.integers(1, 50), rows=st.integers(1, 40), ending=st.sampled_from(FORMATS[:4]))
def test_any_number_of_shards_gives_the_same_output(tmp_path_factory, count, rows, ending):
    folder = tmp_path_factory.mktemp("any")
    model: Any = Toy().with_options(batch_size=BATCH)
    letters = np.random.default_rng(rows).choice(list("ACGTN"), (rows, 9))
    source = {f"s{number}": "".join(row) for number, row in enumerate(letters)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_blocks, "BLOCK_ROWS", 2 * BATCH)
        one, many = folder / f"one.{ending}", folder / f"many.{ending}"
        write_predictions(model, source, one)
        write_shards(model, source, many, count)
        assert merge(many).output.rows == rows  # pyright: ignore[reportAttributeAccessIssue]
    assert output_content(many) == output_content(one)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("rows", [2 * BATCH - 1, 2 * BATCH, 2 * BATCH + 1, 4 * BATCH + 1])
def test_rows_at_the_end_of_a_block(toy, write_fasta, tmp_path, rows):
    model = toy().with_options(batch_size=BATCH)
    genome = write_fasta({"chr1": "ACGTN" * rows})
    write_predictions(model, Tiles(genome, 5), tmp_path / "one.tsv")
    write_shards(model, Tiles(genome, 5), tmp_path / "many.tsv", 2)
    merge(tmp_path / "many.tsv")
    assert output_content(tmp_path / "many.tsv") == output_content(tmp_path / "one.tsv")
    folders = [Shard(index, 2).folder(tmp_path / "many.tsv") for index in (1, 2)]
    blocks = [len(list(folder.glob("*.npy"))) for folder in folders]
    total = -(-rows // (2 * BATCH))
    assert blocks == [-(-total // 2), total // 2]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("name", ["out.h5", "tracks", "out.tsv"])
def test_steps_of_profiles(write_fasta, tmp_path, name):
    groups = (
        TargetGroup(loss="binary", tracks=1),
        TargetGroup(loss="profile", tracks=2, steps=4, step_bases=2),
    )
    small = architecture("danq", filters=4, width=5, pool=3, hidden=3, dense=(4,))
    model = untrained("danq", small, ("peak", "p0", "p1"), 40, 8, groups)
    other = untrained("danq", small, ("peak", "p0", "p1"), 40, 8, groups)
    models = [one.with_options(device="cpu", batch_size=BATCH) for one in (model, other)]
    genome = write_fasta({"chr1": "ACGGTCAATG" * 30})
    one, many = tmp_path / "one" / name, tmp_path / "many" / name
    one.parent.mkdir()
    many.parent.mkdir()
    write_predictions(models, Tiles(genome, 8), one)
    write_shards(models, Tiles(genome, 8), many, 4)
    merge(many)
    assert output_content(many) == output_content(one)


def test_rows_that_are_longer_than_their_profile_are_refused_before_any_work(
    write_fasta, tmp_path, monkeypatch
):
    group = TargetGroup(loss="profile", tracks=1, steps=4, step_bases=2)
    small = architecture("danq", filters=4, width=5, pool=3, hidden=3, dense=(4,))
    model = untrained("danq", small, ("p",), 40, 8, (group,)).with_options(device="cpu")
    genome = write_fasta({"chr1": "ACGGTCAATG" * 30})
    bed = tmp_path / "a.bed"
    bed.write_text("chr1\t0\t8\nchr1\t8\t17\n")
    monkeypatch.setattr(Ensemble, "predict", None)
    with pytest.raises(InputError, match="row of 9 bases is longer than its profile of 8"):
        write_predictions(model, Regions(bed, genome), tmp_path / "tracks")
    with pytest.raises(InputError, match="row of 9 bases is longer than its profile of 8"):
        write_predictions(model, Regions(bed, genome), tmp_path / "tracks", shard=Shard(2, 2))
    assert not list(tmp_path.glob("tracks*"))


@pytest.mark.usefixtures("small_blocks")
def test_other_formats_of_hdf5(small_model, inputs, tmp_path):
    model = small_model(window=20).with_options(batch_size=BATCH)
    each: list[dict[str, Any]] = [
        {"format": "deepsea"},
        {"storage": Hdf5Storage("gzip", "float16")},
    ]
    for number, options in enumerate(each):
        one, many = tmp_path / f"one{number}.h5", tmp_path / f"many{number}.h5"
        write_predictions(model, inputs["arrays"], one, **options)
        write_shards(model, inputs["arrays"], many, 4, **options)
        merge(many)
        assert output_content(many) == output_content(one)


@pytest.mark.usefixtures("small_blocks")
def test_batches_of_the_twin_of_a_gpu_do_not_depend_on_the_shard(
    small_model, inputs, tmp_path, monkeypatch
):
    monkeypatch.setattr(forward, "transfer_for", Asynchronous)
    shapes: set[tuple[int, ...]] = set()
    model = small_model(window=20).with_options(batch_size=BATCH)
    hook = model.module.register_forward_pre_hook(lambda _, given: shapes.add(given[0].shape))
    write_predictions(model, inputs["arrays"], tmp_path / "one.tsv")
    # 31 rows: the last batch has one row, and the shard of the last block has no other batch.
    write_shards(model, inputs["arrays"], tmp_path / "many.tsv", 6)
    hook.remove()
    merge(tmp_path / "many.tsv")
    assert output_content(tmp_path / "many.tsv") == output_content(tmp_path / "one.tsv")
    assert shapes == {(2 * BATCH, 20)}


KILLED = """
import os, signal, sys
from danq.inference import Tiles, write_predictions
from danq.inference.blocks import Shard
from danq.inference.ensemble import Ensemble
from danq.inference.prediction import row_blocks
from tests.inference.conftest import Toy

row_blocks.BLOCK_ROWS = 6
predict = Ensemble.predict

def interrupted(self, *args, **options):
    for number, part in enumerate(predict(self, *args, **options)):
        if number == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        yield part

Ensemble.predict = interrupted
model = Toy().with_options(batch_size=3)
write_predictions(model, Tiles(sys.argv[1], 7), sys.argv[2], shard=Shard(2, 2))
"""


@pytest.mark.usefixtures("small_blocks")
def test_a_killed_shard_is_resumed(toy, inputs, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", "danq")
    model = toy().with_options(batch_size=BATCH)
    one, out, source = tmp_path / "one.tsv", tmp_path / "out.tsv", inputs["tiles"]
    write_predictions(model, source, one)
    write_predictions(model, source, out, shard=Shard(1, 2))
    second = Shard(2, 2)
    run = [sys.executable, "-c", KILLED, str(source.genome), str(out)]
    assert subprocess.run(run, check=False).returncode == -signal.SIGKILL
    with pytest.raises(InputError, match="shard 2/2 is not complete: [12] blocks? so far") as found:
        merge(out)
    kept = int(str(found.value).partition("complete: ")[2][0])
    with pytest.raises(InputError, match="Continue that run"):
        write_predictions(model, source, out, shard=second)
    rows: list[int] = []
    seen: list[tuple[int, int | None]] = []
    predict = Ensemble.predict

    def counted(self, *args, **options):
        for part in predict(self, *args, **options):
            rows.append(len(part[1]))
            yield part

    monkeypatch.setattr(Ensemble, "predict", counted)
    with watched(lambda *both: seen.append(both), "rows"):
        done = write_predictions(model, source, out, shard=second, resume=True)
    assert done.path == second.folder(out)
    assert sum(rows) == done.rows - kept * 2 * BATCH
    assert seen[-1] == (sum(rows), sum(rows))
    merge(out)
    assert out.read_bytes() == one.read_bytes()
    rows.clear()
    caplog.clear()
    assert write_predictions(model, source, out, shard=second, resume=True) == done
    assert not rows
    assert "is complete, nothing remains to be done" in caplog.text


CHANGES: dict[str, tuple[Callable[[Any], Any], dict[str, Any], str]] = {
    "strand": (lambda model: model.with_options(strand="forward"), {}, "strand: both.* forward"),
    "batch size": (
        lambda model: model.with_options(batch_size=5),
        {},
        "batch size: 3 windows.* 5 windows",
    ),
    "tracks": (lambda model: model, {"tracks": ["Abf1"]}, "tracks: Reb1, Abf1, Rap1.* Abf1"),
    "format": (lambda model: model, {"format": "parquet"}, "format: tsv.* parquet"),
}


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("what", CHANGES)
def test_changed_settings_are_refused(small_model, inputs, tmp_path, what):
    model = small_model(window=20).with_options(batch_size=BATCH)
    change, options, message = CHANGES[what]
    out, source = tmp_path / "out.tsv", inputs["tiles"]
    write_predictions(model, source, out, shard=Shard(1, 2))
    with pytest.raises(InputError, match=message):
        write_predictions(change(model), source, out, shard=Shard(1, 2), resume=True, **options)
    write_predictions(change(model), source, out, shard=Shard(2, 2), **options)
    with pytest.raises(InputError, match=f"shard-2-of-2: .*{message}"):
        merge(out)


@pytest.mark.usefixtures("small_blocks")
def test_changed_inputs_are_refused(small_model, inputs, tmp_path):
    model = small_model(window=20).with_options(batch_size=BATCH)
    out = tmp_path / "out.tsv"

    def again(model: Model, source: Any) -> None:
        write_predictions(model, source, out, shard=Shard(1, 2), resume=True)

    def fresh(source: Any) -> None:
        write_predictions(model, source, out, shard=Shard(1, 2), overwrite=True)

    fresh(inputs["tiles"])
    other = small_model(window=20, seed=1).with_options(batch_size=BATCH)
    with pytest.raises(InputError, match="is not the model that the run began with"):
        again(other, inputs["tiles"])
    with pytest.raises(InputError, match="tile: 7; now it is 8"):
        again(model, Tiles(inputs["tiles"].genome, 8))
    with pytest.raises(InputError, match=r"without region; now it is chrIV:11-150"):
        again(model, inputs["region"])
    with pytest.raises(InputError, match="without a BED file"):
        again(model, inputs["bed"])
    fresh(inputs["memory"])
    again(model, dict(inputs["memory"]))
    with pytest.raises(InputError, match="sequences in memory is not the input that the run began"):
        again(model, inputs["memory"] | {"b": "GGC"})
    for kind, name, noun in (
        ("bed", "some.bed", "BED file"),
        ("records", "records.fa", "FASTA file"),
        ("arrays", "x.h5", "file of arrays"),
        ("tiles", "genome.fa", "genome"),
    ):
        fresh(inputs[kind])
        with (tmp_path / name).open("ab") as file:
            file.write(b"\n")
        with pytest.raises(InputError, match=f"{name} is not the {noun} that the run began with"):
            again(model, inputs[kind])


@pytest.mark.usefixtures("small_blocks")
def test_a_file_that_changes_during_the_run_ends_the_shard(toy, inputs, tmp_path, monkeypatch):
    model, source = toy().with_options(batch_size=BATCH), inputs["bed"]
    predict = Ensemble.predict

    def changed(self, *args, **options):
        for number, part in enumerate(predict(self, *args, **options)):
            if number == 3:
                source.regions.write_text("chrIV\t0\t9\n")
            yield part

    monkeypatch.setattr(Ensemble, "predict", changed)
    with pytest.raises(InputError, match=r"some\.bed: has changed while danq was reading it"):
        write_predictions(model, source, tmp_path / "out.tsv", shard=Shard(1, 2))
    with pytest.raises(InputError, match=r"some\.bed is not the BED file that the run began with"):
        write_predictions(model, source, tmp_path / "out.tsv", shard=Shard(1, 2), resume=True)


def test_an_invalid_shard_is_refused_before_any_work(toy, inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(Ensemble, "predict", None)
    source, out = inputs["tiles"], tmp_path / "out.tsv"
    with pytest.raises(InputError, match="only a shard of a run can be resumed"):
        write_predictions(toy(), source, out, resume=True)
    with pytest.raises(InputError, match="a shard cannot be written to standard output"):
        write_predictions(toy(), source, "-", shard=Shard(1, 2))
    with pytest.raises(InputError, match="resume and overwrite are both set"):
        write_predictions(toy(), source, out, shard=Shard(1, 2), resume=True, overwrite=True)
    with pytest.raises(InputError, match="needs positions on a genome"):
        write_predictions(toy(), inputs["memory"], tmp_path / "tracks", shard=Shard(1, 2))
    assert not list(tmp_path.glob("*shard*"))


@pytest.mark.parametrize("kind", ["tiles", "bed", "records"])
def test_a_pipe_cannot_be_divided(toy, inputs, tmp_path, kind):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    source = {
        "tiles": Tiles(pipe, 7),
        "bed": Regions(pipe, inputs["tiles"].genome),
        "records": OneHotFile(pipe),
    }[kind]
    with copied_pipes(), pytest.raises(InputError, match="pipe: is a pipe.*every shard reads"):
        write_predictions(toy(), source, tmp_path / "out.tsv", shard=Shard(1, 2))


@pytest.mark.usefixtures("small_blocks")
def test_rows_that_overlap_in_different_shards_are_refused(toy, inputs, tmp_path):
    bed: Path = inputs["bed"].regions
    with bed.open("a") as file:
        file.write("chrIV\t12\t14\n")
    for index in (1, 2):
        with pytest.raises(InputError, match="1 records overlap the one before"):
            write_predictions(
                toy().with_options(batch_size=BATCH),
                inputs["bed"],
                tmp_path / "tracks",
                shard=Shard(index, 2),
            )


def test_numbers_of_rows():
    assert row_blocks.rows_per_write(919, 256) % 256 == 0
    assert row_blocks.rows_per_write(919, 256) * 919 >= row_blocks.BLOCK_VALUES
    assert row_blocks.batches_per_block(919, 256) * 256 * 919 <= row_blocks.BLOCK_VALUES
    assert row_blocks.batches_per_block(1, 256) * 256 == row_blocks.BLOCK_ROWS
    assert row_blocks.batches_per_block(10**9, 256) == 1
