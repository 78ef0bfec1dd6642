"""Merged shards of mutation effects equal a run without shards."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from danq.errors import InputError
from danq.inference import Regions, write_mutations
from danq.inference.blocks import Shard
from danq.inference.merge_shards import merge
from danq.inference.mutagenesis import batches, effects
from danq.inference.mutagenesis.targets import Target, read_windows, target_spans
from danq.interpretation.mutate_and_plot import write_mutations_and_plot
from tests.output_contents import output_content
from tests.watched import watched

FORMATS = ("out.tsv", "out.tsv.gz", "out.parquet", "out.h5")


@pytest.fixture
def small_blocks(monkeypatch) -> None:
    """A shard stores two or three windows of ten bases at once."""
    monkeypatch.setattr(batches, "BLOCK_BASES", 25)


@pytest.fixture
def inputs(genome, write_fasta, tmp_path: Path) -> dict[str, Any]:
    letters = np.random.default_rng(0).choice(list("ACGTN"), 90, p=[0.22] * 4 + [0.12])
    text = "".join(letters)
    bed = tmp_path / "some.bed"
    bed.write_text("".join(f"chrIV\t{9 * n}\t{9 * n + 13}\n" for n in range(9)))
    return {
        "records": write_fasta({f"s{n}": text[:n] for n in (90, 3, 41, 17)}, "records.fa"),
        "bed": Regions(bed, genome),
        "region": Regions("chrIV:6-130", genome),
        "memory": {"a": "ACGTNACGGA" * 6, "n": "NNN", "b": "A"},
    }


def write_shards(model: Any, source: Any, out: Path, count: int, **options: Any) -> None:
    for index in range(1, count + 1):
        write_mutations(model, source, out, shard=Shard(index, count), **options)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("kind", ["records", "bed", "region", "memory"])
def test_merged_shards_equal_one_run(small_model, inputs, tmp_path, kind, caplog):
    caplog.set_level(logging.INFO, "danq")
    # A batch of 7 substitutions is one window, one of 40 a few windows.
    for number, name in enumerate(FORMATS):
        models = [
            small_model(seed=seed).with_options(batch_size=(7, 40)[number % 2]) for seed in (0, 1)
        ]
        model = models if number % 2 else models[0]
        one, many = tmp_path / f"one.{name}", tmp_path / f"many.{name}"
        caplog.clear()
        written = write_mutations(model, inputs[kind], one)
        notices = caplog.messages
        write_shards(model, inputs[kind], many, 3)
        caplog.clear()
        assert merge(many).output == written._replace(path=many)
        # Sequences are counted over all shards.
        assert caplog.messages == [text for text in notices if "overlap" not in text]
        assert output_content(many) == output_content(one), name


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(count=st.integers(1, 50), bases=st.integers(1, 90), ending=st.sampled_from(FORMATS))
def test_any_number_of_shards_gives_the_same_output(
    small_model, tmp_path_factory, count, bases, ending
):
    folder = tmp_path_factory.mktemp("any")
    model = small_model(tracks=("Reb1",)).with_options(batch_size=7)
    source = {"a": "ACGGT" * 3, "b": ("ACGTTCNGGA" * 9)[:bases]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "BLOCK_BASES", 25)
        one, many = folder / f"one.{ending}", folder / f"many.{ending}"
        write_mutations(model, source, one)
        write_shards(model, source, many, count)
        merge(many)
    assert output_content(many) == output_content(one)


@pytest.mark.usefixtures("small_blocks")
def test_effects_on_a_gpu(small_model, inputs, tmp_path, as_on_a_gpu):
    as_on_a_gpu()
    model = small_model().with_options(batch_size=16)
    write_mutations(model, inputs["region"], tmp_path / "one.h5")
    write_shards(model, inputs["region"], tmp_path / "many.h5", 4)
    merge(tmp_path / "many.h5")
    assert output_content(tmp_path / "many.h5") == output_content(tmp_path / "one.h5")


@pytest.mark.usefixtures("small_blocks")
def test_an_interrupted_shard_is_resumed(small_model, inputs, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "danq")
    model, source, out = (
        small_model().with_options(batch_size=7),
        inputs["region"],
        tmp_path / "out.tsv",
    )
    write_mutations(model, source, tmp_path / "one.tsv")
    write_shards(model, source, out, 2)
    second = Shard(2, 2)
    scored: list[int] = []
    read = effects.read_windows

    def counted(spans, window):
        scored.append(len(spans))
        if len(scored) == 5 and limited:
            raise KeyboardInterrupt
        return read(spans, window)

    monkeypatch.setattr(effects, "read_windows", counted)
    limited = True
    with pytest.raises(KeyboardInterrupt):
        write_mutations(model, source, out, shard=second, overwrite=True)
    assert "completed blocks are kept" in caplog.text
    with pytest.raises(InputError, match="shard 2/2 is not complete: 1 block so far"):
        merge(out)
    limited = False
    scored.clear()
    seen: list[tuple[int, int | None]] = []
    with watched(lambda *both: seen.append(both), "substitutions"):
        done = write_mutations(model, source, out, shard=second, resume=True)
    total = sum(scored)
    assert seen[-1][0] == seen[-1][1]
    scored.clear()
    assert write_mutations(model, source, out, shard=second, resume=True) == done
    assert (total, scored) == (3, [])
    assert "is complete, nothing remains to be done" in caplog.text
    merge(out)
    assert out.read_bytes() == (tmp_path / "one.tsv").read_bytes()


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(
    ("run", "options", "message"),
    [
        ({"tolerance": 0.5}, {}, r"tolerance: .*; now it is 0\.5"),
        ({"batch_size": 9}, {}, "substitutions per batch: 7; now it is 9"),
        ({}, {"effect": "probability"}, "effect: logit; now it is probability"),
        ({}, {"tracks": ["Rap1"]}, "tracks: Reb1, Abf1, Rap1; now it is Rap1"),
    ],
)
def test_changed_settings_are_refused(small_model, inputs, tmp_path, run, options, message):
    model, source, out = small_model().with_options(batch_size=7), inputs["bed"], tmp_path / "o.tsv"
    write_mutations(model, source, out, shard=Shard(1, 2))
    other = model.with_options(**run)
    with pytest.raises(InputError, match=message):
        write_mutations(other, source, out, shard=Shard(1, 2), resume=True, **options)


def test_what_shards_do_not_have_is_refused(small_model, inputs, tmp_path):
    model, source, out = small_model(), inputs["records"], tmp_path / "out.tsv"
    with pytest.raises(InputError, match="pairs of bases are mutated in a run without shards"):
        write_mutations(model, source, out, shard=Shard(1, 2), pairs="s17:2-4")
    with pytest.raises(InputError, match="a plot shows all effects"):
        write_mutations_and_plot(model, source, out, plot=tmp_path / "a.png", shard=Shard(1, 2))
    with pytest.raises(InputError, match="only a shard of a run can be resumed"):
        write_mutations(model, source, out, resume=True)
    with pytest.raises(InputError, match="a shard cannot be written to standard output"):
        write_mutations(model, source, "-", shard=Shard(1, 2))
    assert not list(tmp_path.glob("*out.tsv*"))
    assert not list(tmp_path.glob("*.png"))


@given(sizes=st.lists(st.integers(1, 70), max_size=9), substitutions=st.integers(1, 200))
def test_batches_and_blocks_cover_each_base_once(sizes, substitutions):
    targets = [
        Target(str(number), 5, 5 + size, 80, lambda low, high: np.zeros(high - low, np.uint8))
        for number, size in enumerate(sizes)
    ]
    each = list(batches.batches(targets, 40, 10, substitutions))
    counts = [3 * batches.bases_of([batch]) for batch in each]
    assert all(count >= substitutions for count in counts[:-1])
    spans = [span for target in targets for span in target_spans(target, 40, 10)]
    assert [span for batch in each for span in batch] == spans
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "BLOCK_BASES", 25)
        blocks = list(batches.blocks(each, 3))
        patch.setattr(batches, "BLOCK_VALUES", 4 * 12 * 3)
        smaller = list(batches.blocks(each, 3))
    assert [batch for block in blocks for batch in block] == each
    assert all(batches.bases_of(block) >= 25 for block in blocks[:-1])
    assert all(batches.bases_of(block[:-1]) < 25 for block in blocks)
    assert all(batches.bases_of(block[:-1]) < 12 for block in smaller)
    windows = read_windows(spans, 40)
    assert [(one.first + one.low, one.first + one.high) for one in windows] == [
        (span.start, span.end) for span in spans
    ]
