"""The overlap of reading, computing, copying back and writing, on a CPU in the place of a GPU."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from danq.errors import InputError
from danq.genome.packed_genome import PackedGenome
from danq.inference import (
    Regions,
    Tiles,
    predict,
    predict_codes,
    predict_dataset,
    write_predictions,
)
from danq.inference.engine import forward, genome_windows
from danq.inference.engine.forward import dataset_outputs, predict_blocks
from danq.inference.engine.genome_windows import GenomeWindows
from danq.inference.engine.overlapping_windows import OverlappingWindows
from danq.inference.engine.transfer import Transfer
from danq.inference.sources import row_streams
from danq.inference.writers.prediction_bigwig import BigWigWriter
from danq.inference.writers.prediction_hdf5 import PredictionHdf5
from danq.models import RunOptions, build
from tests.small_dataset import small_dataset

OUTPUTS = ["out.tsv", "out.h5", "out.parquet", "folder"]


class Asynchronous(Transfer):
    """A device whose copies are done when the host waits for them, as late as possible."""

    in_flight = 2
    large_batches = True

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        self.waiting = self.most = 0

    def to_host(self, result: torch.Tensor):
        self.waiting += 1
        self.most = max(self.most, self.waiting)

        def wait() -> np.ndarray:
            self.waiting -= 1
            return result.cpu().numpy()

        return wait


class Twin:
    """Switches to the twin of a GPU: windows of genomes are then cut where models run."""

    def __init__(self, monkeypatch) -> None:
        self.monkeypatch = monkeypatch
        self.made: list[Asynchronous] = []

    def transfer(self, device: torch.device) -> Asynchronous:
        self.made.append(Asynchronous(device))
        return self.made[-1]

    def enable(self) -> None:
        self.monkeypatch.setattr(forward, "transfer_for", self.transfer)
        for module in (genome_windows, row_streams):
            self.monkeypatch.setattr(module, "cut_on_device", lambda *_: True)


@pytest.fixture
def gpu(monkeypatch) -> Twin:
    return Twin(monkeypatch)


def threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("danq-")]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = threads()
    yield
    assert threads() == before


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(0)
    return build("danq-small", tracks=2, window=60, filters=8, hidden=4, dense=(5,)).eval()


def options(**changes) -> RunOptions:
    return RunOptions("cpu", "fp32", **{"batch_size": 4, **changes})


@pytest.mark.parametrize("strand", ["both", "forward"])
@pytest.mark.parametrize("windows", [0, 1, 3, 4, 5, 21])
def test_the_twin_of_a_gpu_gives_the_same_probabilities(module, gpu, strand, windows):
    codes = np.random.default_rng(0).integers(0, 5, (windows, 60)).astype(np.uint8)
    expected = predict_codes(module, codes, options(strand=strand))
    gpu.enable()
    found = predict_codes(module, codes, options(strand=strand))
    # Batches have other sizes, so sums may be rounded in another way.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    (used,) = gpu.made
    assert used.waiting == 0
    assert used.most == min(3, -(-windows // 4))


def test_batches_of_the_twin_have_one_shape(module, gpu):
    shapes: list[tuple[int, ...]] = []
    handle = module.register_forward_pre_hook(lambda _, inputs: shapes.append(inputs[0].shape))
    gpu.enable()
    predict_codes(module, np.zeros((9, 60), np.uint8), options())
    handle.remove()
    assert shapes == [(8, 60)] * 3


def test_selected_tracks_are_those_of_all(module):
    codes = np.random.default_rng(0).integers(0, 5, (9, 60)).astype(np.uint8)
    whole = predict_codes(module, codes, options())
    for tracks in ([1], [1, 0], [0, 1]):
        (found,) = predict_blocks(module, [codes], options(), tracks)
        np.testing.assert_allclose(found, whole[:, tracks], rtol=1e-6)


def test_windows_of_a_dataset_are_cut_where_the_model_runs(module, gpu):
    dataset = small_dataset(25, 500)
    rows = np.random.default_rng(0).permutation(25)
    expected = predict_dataset(module, dataset, rows, options())
    logits = dataset_outputs(module, dataset, rows, options())
    gpu.enable()
    np.testing.assert_allclose(
        predict_dataset(module, dataset, rows, options()), expected, rtol=0, atol=1e-6
    )
    np.testing.assert_allclose(
        dataset_outputs(module, dataset, rows, options()), logits, rtol=0, atol=1e-5
    )


def test_windows_cut_on_a_device_equal_those_of_the_host(monkeypatch):
    genome = PackedGenome.from_contigs(
        [(name, np.random.default_rng(2).integers(0, 5, 90).astype(np.uint8)) for name in "ab"]
    )
    contig, first = np.repeat([0, 1], 60), np.tile(np.arange(-15, 105, 2), 2)
    device = torch.device("cpu")
    host = GenomeWindows(genome, device, 20, 120)
    segments = host.load(host.read(contig, first))
    assert isinstance(segments, OverlappingWindows)
    expected = segments.cut()
    monkeypatch.setattr(genome_windows, "cut_on_device", lambda *_: True)
    other = GenomeWindows(genome, device, 20, 120)
    np.testing.assert_array_equal(other.load(other.read(contig, first)), expected)


def test_a_device_reads_a_genome_only_for_more_bases_than_it_has():
    cpu, cuda = torch.device("cpu"), torch.device("cuda", 0)
    assert genome_windows.cut_on_device(cuda, 101, 100)
    assert not genome_windows.cut_on_device(cuda, 100, 100)
    assert not genome_windows.cut_on_device(cpu, 101, 100)


@pytest.mark.parametrize("models", [1, 3])
def test_rows_on_a_genome_have_the_same_predictions(
    toy, genome, tmp_path, gpu, small_model, models, caplog
):
    bed = tmp_path / "rows.bed"
    bed.write_text("chrI\t30\t41\nchrIV\t190\t205\nchrI\t0\t7\nchrM\t1\t30\n")
    sources = [Tiles(genome, 7), Tiles(genome, 3, "chrIV:20-90"), Regions(bed, genome)]
    members = [small_model(seed=seed).with_options(batch_size=4) for seed in range(models)]
    counting = toy().with_options(batch_size=4)

    def run():
        caplog.clear()
        made = [(predict(counting, one), predict(members, one, tracks=["Rap1"])) for one in sources]
        return made, sorted(caplog.messages)

    caplog.set_level("INFO", logger="danq")
    expected, messages = run()
    assert any("padded with N" in text for text in messages)
    gpu.enable()
    found, again = run()
    assert again == messages
    for pair, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(pair[0].values, other[0].values)
        np.testing.assert_allclose(pair[1].values, other[1].values, rtol=0, atol=1e-6)
        for one, two in zip(pair, other, strict=True):
            assert one.rows.equals(two.rows)


def model_that_fails(toy, error: BaseException, batch: int):
    """A model whose computation of a batch raises an error."""
    model, calls = toy().with_options(batch_size=4), []

    def fail(*_):
        calls.append(1)
        if len(calls) == 2 * batch:
            raise error

    model.module.register_forward_pre_hook(fail)
    return model


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("error", [ValueError("computing"), KeyboardInterrupt()], ids=repr)
def test_an_error_of_the_computation_leaves_no_output(toy, genome, tmp_path, name, error):
    before = sorted(tmp_path.iterdir())
    with pytest.raises(type(error)):
        write_predictions(model_that_fails(toy, error, 5), Tiles(genome, 3), tmp_path / name)
    assert [one for one in sorted(tmp_path.iterdir()) if one.suffix != ".fai"] == before


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_error_of_the_reader_leaves_no_output(toy, write_fasta, tmp_path, name):
    genome = write_fasta({"chr1": "ACGT" * 200, "chr2": "ACGT" * 50 + "!" + "ACGT" * 9})
    with pytest.raises(InputError, match="chr2"):
        write_predictions(toy().with_options(batch_size=4), Tiles(genome, 3), tmp_path / name)
    assert not list(tmp_path.glob(f"*{name}*"))


@pytest.mark.parametrize("writer", [PredictionHdf5, BigWigWriter])
@pytest.mark.parametrize("error", [OSError("cannot write"), MemoryError()], ids=repr)
def test_an_error_of_the_writer_leaves_no_output(toy, genome, tmp_path, monkeypatch, writer, error):
    write, calls = writer.write, []

    def fail(self, *block):
        calls.append(threading.current_thread().name)
        if len(calls) == 3:
            raise error
        write(self, *block)

    monkeypatch.setattr(writer, "write", fail)
    monkeypatch.setattr("danq.inference.prediction.row_blocks.BLOCK_VALUES", 30)
    name = "out.h5" if writer is PredictionHdf5 else "folder"
    with pytest.raises((InputError, MemoryError)) as caught:
        write_predictions(toy().with_options(batch_size=4), Tiles(genome, 3), tmp_path / name)
    assert error in (caught.value, caught.value.__cause__)
    assert calls == ["danq-writing"] * 3
    assert not list(tmp_path.glob(f"*{name}*"))


@pytest.mark.parametrize(("size", "remedy"), [(4, "such as 2"), (3, "such as 1"), (1, "End other")])
def test_exhausted_memory_names_a_smaller_batch(toy, genome, tmp_path, size, remedy):
    model = model_that_fails(toy, torch.OutOfMemoryError("CUDA out of memory"), 3)
    model = model.with_options(batch_size=size)
    windows = f"{size} window" + "s" * (size > 1)
    with pytest.raises(InputError, match=f"not enough memory for a batch of {windows}.*{remedy}"):
        write_predictions(model, Tiles(genome, 3), tmp_path / "out.h5")
    assert not list(tmp_path.glob("*out.h5*"))


def test_exhausted_memory_ends_an_evaluation(module):
    error = torch.OutOfMemoryError("CUDA out of memory")

    class Failing(torch.nn.Module):
        head = module.head

        def forward(self, *_):
            raise error

    dataset = small_dataset(25, 500)
    for run in (predict_dataset, dataset_outputs):
        with pytest.raises(InputError, match="such as 2"):
            run(Failing(), dataset, np.arange(25), options())
