"""Every reader of files with every kind of wrong file: an error that names the file, no traceback.

`WRONG` makes the files. `READERS` are the functions that take a file, and `COMMANDS` the commands.
`READABLE` lists the few pairs that are not wrong.
"""

from __future__ import annotations

import gzip
import json
import os
import pickle
import random
import signal
import socket
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest
import safetensors.numpy

import danq
from danq.datasets import Dataset, convert_dataset
from danq.datasets.track_files import find_tracks
from danq.errors import InputError
from danq.evaluation.published_metrics import read_paper
from danq.files.npy_input import read_npy
from danq.genome.bed import read_bed
from danq.genome.contig_names import read_chrom_map
from danq.genome.fasta import Genome, read_fasta
from danq.genome.gene_models import read_genes
from danq.genome.motif_files import read_motifs
from danq.genome.nucleotide_codes import decode
from danq.inference.sources.find_source import as_source
from danq.inference.variants.background_file import read_background
from danq.interpretation.variant_classification.effect_features import read_effects, read_table
from danq.models.architecture import Architecture
from danq.models.model_file import save_model, untrained
from danq.models.weight_import import FORMATS, import_weights
from danq.models.weight_import.torch_mapping import read_mapping
from danq.report.find_outputs import find_outputs
from danq.simulation.ground_truth import read_truth
from danq.track_names import track_names
from danq.training.config import read_config
from danq.vision import load_vision_model, read_clip
from danq.vision.input_files import read_lines
from danq.vision.input_files import read_table as read_number_table
from danq_cli import main as cli
from tests.small_dataset import small_dataset

RANDOM = random.Random(3).randbytes(3000)


def matlab5(kind: int, body: bytes, *, compressed: bool = False, flags: int = 0) -> bytes:
    """A MATLAB v5 file with one array 'trainxdata' of 2 x 2, of a class and with given values."""

    def element(number: int, data: bytes) -> bytes:
        return struct.pack("<II", number, len(data)) + data + bytes(-len(data) % 8)

    inside = (
        element(6, struct.pack("<II", kind | flags << 8, 0))
        + element(5, struct.pack("<ii", 2, 2))
        + element(1, b"trainxdata")
        + body
    )
    matrix = element(14, inside)
    if compressed:
        packed = zlib.compress(matrix)
        matrix = struct.pack("<II", 15, len(packed)) + packed
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + matrix


def hdf5(fill: Callable[[h5py.File], object]) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        with h5py.File(path, "w") as file:
            fill(file)

    return make


def magic_only(magic: str, version: int) -> Callable[[h5py.File], None]:
    def fill(file: h5py.File) -> None:
        file.attrs["magic"] = magic
        file.attrs["format_version"] = version

    return fill


def anndata(file: h5py.File) -> None:
    file.attrs["encoding-type"] = "anndata"
    file["X"] = np.ones((3, 2), np.float32)
    file["obs/_index"] = np.array([b"a", b"b", b"c"])


def links(file: h5py.File) -> None:
    file["trainxdata"] = h5py.SoftLink("/nowhere")
    file["traindata"] = h5py.ExternalLink("nowhere.h5", "/x")
    for name in ("genome/bases", "labels", "rank", "nb_layers", "variants/pos", "magic"):
        file[name] = h5py.SoftLink("/nowhere")


def groups(file: h5py.File) -> None:
    for name in ("trainxdata", "traindata", "labels", "rank", "tracks", "variants", "windows"):
        file.create_group(name)


def odd_arrays(file: h5py.File) -> None:
    file["trainxdata"] = np.array([b"a", b"b"])
    file["scalar"] = 3.0
    file["empty"] = h5py.Empty("f4")
    file["complex"] = np.ones((2, 4, 3), np.complex64)
    file["compound"] = np.zeros((2, 4), [("a", "i4"), ("b", "f4")])
    file["traindata"] = np.array([True, False])
    file.create_dataset("ragged", (2,), h5py.vlen_dtype(np.int32))


def old_keras(file: h5py.File) -> None:
    file.attrs["nb_layers"] = 1
    file.create_group("layer_0").attrs["nb_params"] = 1
    file["layer_0"]["param_0"] = h5py.SoftLink("/nowhere")


def write_npz(**arrays: np.ndarray) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        with path.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]

    return make


def bad_npy(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("trainxdata.npy", b"\x93NUMPY\x09\x00\x76\x00{'descr': ")


def npz_zip_of_text(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "text")


def npy(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.zeros((2, 3, 4, 5, 6)))


def npy_objects(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.array([{}, None], object), allow_pickle=True)


def tensors(**metadata: str) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        values = {"bert.embeddings": np.ones((2, 2), np.float32)}
        path.write_bytes(safetensors.numpy.save(values, metadata or None))

    return make


def header(text: bytes, size: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if size is None else size) + text


def restricted(path: Path) -> None:
    path.write_text("chr1\t0\t200\n")
    path.chmod(0)


def connected(path: Path) -> None:
    # The path of a socket has at most 107 bytes.
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(before)


PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + RANDOM[:40]
CHAR, CELL, STRUCT, SPARSE, DOUBLE = 4, 1, 2, 5, 6
FOUR = struct.pack("<II", 9, 32) + np.arange(4.0).tobytes()

WRONG: dict[str, bytes | Callable[[Path], object]] = {
    "folder": lambda path: path.mkdir(),
    "empty": b"",
    "one byte": b"x",
    "zero byte": b"\0",
    "line end": b"\n",
    "text": b"The quick brown fox\njumps over 12 dogs.\n",
    "latin-1 text": "Na\u00efve caf\u00e9s\n".encode("latin-1"),
    "web page": b"<!DOCTYPE html><html><title>404</title></html>\n",
    "png": PNG,
    "gzip of text": gzip.compress(b"The quick brown fox\n"),
    "cut gzip": gzip.compress(RANDOM)[:500],
    "gzip header": b"\x1f\x8b",
    "random bytes": RANDOM,
    "pickle": pickle.dumps({"state_dict": {}}),
    "zip": npz_zip_of_text,
    "npz of objects": write_npz(trainxdata=np.array([{}, None], object)),
    "npz of texts": write_npz(trainxdata=np.array(["a"]), traindata=np.array(["b"])),
    "npz of scalars": write_npz(trainxdata=np.array(3), traindata=np.array(4)),
    "npz with a bad array": bad_npy,
    "npz of empty arrays": write_npz(trainxdata=np.zeros((0, 4, 10)), traindata=np.zeros((0, 3))),
    "npy of five axes": npy,
    "npy of objects": npy_objects,
    "cut npy": b"\x93NUMPY\x01\x00v\x00{'descr': '<f8',",
    "hdf5 signature": b"\x89HDF\r\n\x1a\n",
    "hdf5 without objects": hdf5(lambda file: None),
    "hdf5 of anndata": hdf5(anndata),
    "hdf5 with links that lead nowhere": hdf5(links),
    "hdf5 with groups for arrays": hdf5(groups),
    "hdf5 with odd arrays": hdf5(odd_arrays),
    "hdf5 with a magic of a dataset": hdf5(magic_only("danq-dataset", 2)),
    "hdf5 with a magic of variants": hdf5(magic_only("danq-variants", 1)),
    "hdf5 with a magic of a background": hdf5(magic_only("danq-background", 1)),
    "hdf5 with a magic that is a number": hdf5(lambda file: file.attrs.update(magic=[1, 2])),
    "hdf5 of old Keras without arrays": hdf5(old_keras),
    "hdf5 of new Keras": hdf5(lambda file: file.attrs.update(layer_names=[b"dense"])),
    "matlab 4": struct.pack("<5i", 0, 2, 2, 0, 2) + b"x\0" + bytes(32),
    "matlab 5 without arrays": matlab5(DOUBLE, FOUR)[:128],
    "matlab 5 of two axes": matlab5(DOUBLE, FOUR),
    "matlab 5 with a cell array": matlab5(CELL, b""),
    "matlab 5 with a structure": matlab5(STRUCT, b""),
    "matlab 5 with text": matlab5(CHAR, struct.pack("<II", 4, 8) + b"a\0b\0c\0d\0"),
    "matlab 5 with a sparse array": matlab5(SPARSE, FOUR),
    "matlab 5 of complex numbers": matlab5(DOUBLE, FOUR + FOUR, flags=8),
    "matlab 5 of logical values": matlab5(
        9, struct.pack("<II", 2, 4) + b"\1\0\1\0" + bytes(4), flags=2
    ),
    "cut matlab 5": matlab5(DOUBLE, FOUR)[:-9],
    "compressed matlab 5 that is cut": matlab5(DOUBLE, FOUR, compressed=True)[:-9],
    "matlab 5 of random bytes": matlab5(DOUBLE, FOUR)[:128] + RANDOM,
    "safetensors of another program": tensors(format="pt"),
    "safetensors without metadata": tensors(),
    "safetensors with a header that is a list": tensors(danq="[1, 2]"),
    "safetensors with a header that is no JSON": tensors(danq="{"),
    "safetensors without fields": tensors(danq=json.dumps({"format_version": 2})),
    "safetensors of another task": tensors(danq=json.dumps({"format_version": 2, "task": "x"})),
    "safetensors with a task that is a list": tensors(
        danq=json.dumps({"format_version": 2, "task": [1]})
    ),
    "cut safetensors": header(b'{"a": {"dtype": "F32", "shape": [2], ', 80),
    "safetensors with a huge header": header(b"{}", 1 << 60),
    "safetensors header of random bytes": header(RANDOM),
    "json list": b"[1, 2]\n",
    "json text": b'"text"\n',
    "json null": b"null\n",
    "json of the wrong types": json.dumps(
        {"magic": "danq-truth", "format_version": 2, "tracks": 3, "contigs": None}
    ).encode(),
    "deep json": b"[" * 100_000,
    "toml of unknown sections": b"[unknown]\na = 1\n",
    "toml of the wrong types": b'data = 3\nmodel = "x"\nwindow = "y"\n',
    "toml with sections of the wrong types": b'[recipe]\nepochs = "x"\n[run]\nseed = [1]\n',
    "no permission": restricted,
    "named pipe": lambda path: os.mkfifo(path),
    "socket": connected,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "link that leads nowhere": lambda path: path.symlink_to(path.with_name("nowhere")),
    "link to itself": lambda path: path.symlink_to(path.name),
}
"""Content of a file, or a function that makes it at a path."""


def imported(format_: str, **options: object) -> Callable[[Path, Path], object]:
    def read(path: Path, out: Path) -> None:
        mapping = out.parent / "mapping.toml" if format_ == "torch" else None
        import_weights(
            path,
            out / "m.safetensors",
            format=format_,
            mapping=mapping,
            backward="reversed" if format_.startswith("keras") else None,
            **options,  # type: ignore[arg-type]
        )

    return read


def renamed(name: str, read: Callable[[Path, Path], object]) -> Callable[[Path, Path], object]:
    """Read a file under another name in the same folder."""

    def rename(path: Path, out: Path) -> None:
        target = path.with_name(name)
        path.rename(target)
        try:
            read(target, out)
        finally:
            target.rename(path)

    return rename


def read_source(path: Path, out: Path) -> None:
    with as_source(path).open(10, 2) as rows:
        for _ in rows.chunks(16):
            pass


READERS: dict[str, Callable[[Path, Path], object]] = {
    "model": lambda path, out: danq.load(path),
    "summary of a model": lambda path, out: danq.summary(path),
    "vision model": lambda path, out: load_vision_model(path),
    "export of a model": lambda path, out: danq.export(path, out / "m.onnx", to="onnx"),
    **{f"weights of {one}": imported(one) for one in FORMATS},
    "weights in safetensors": renamed("w.safetensors", imported("torch")),
    "mapping": lambda path, out: read_mapping(path),
    "dataset": lambda path, out: Dataset.open(path),
    "one-hot arrays to convert": lambda path, out: convert_dataset(
        out / "d.h5", [path] * 3, channels="ACGT"
    ),
    "input of predict": read_source,
    "background": lambda path, out: read_background(path),
    "variant effects": lambda path, out: read_effects(path),
    "labels of variants": lambda path, out: read_table(path, "label"),
    "configuration": lambda path, out: read_config(path),
    "truth of a simulation": lambda path, out: read_truth(path),
    "published metrics": lambda path, out: read_paper(path),
    "track names": lambda path, out: track_names(path, 3),
    "sample sheet": lambda path, out: find_tracks(path),
    "genome": lambda path, out: Genome(path),
    "FASTA records": lambda path, out: list(read_fasta(path)),
    "BED": lambda path, out: read_bed(path),
    "motifs": lambda path, out: read_motifs(path),
    "genes": lambda path, out: read_genes(path),
    "outputs to report on": lambda path, out: find_outputs([path]),
    "contig map": lambda path, out: read_chrom_map(path),
    "image": renamed("clip.png", lambda path, out: read_clip(path)),
    "clip in an array": renamed("clip.npy", lambda path, out: read_clip(path)),
    "clip": lambda path, out: read_clip(path),
    "texts": lambda path, out: read_lines(path),
    "numbers": lambda path, out: read_number_table(path, 3, "Give three columns"),
    "array": lambda path, out: read_npy(path),
}
"""Functions of a file and an output folder."""


READABLE = {
    ("array", "npy of five axes"),
    ("configuration", "line end"),  # an empty configuration has the defaults
    ("track names", "toml of the wrong types"),  # a name in each of three lines
    *(
        ("texts", kind)
        for kind in (
            "one byte",
            "text",
            "gzip of text",
            "json list",
            "json text",
            "json null",
            "toml of unknown sections",
            "toml of the wrong types",
            "toml with sections of the wrong types",
        )
    ),
}
"""Reader and file that is not wrong for it."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may enter, with a mapping for torch weights."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        (path / "mapping.toml").write_text("window = 1000\n")
        (path / "out").mkdir(mode=0o777)
        (path / "out").chmod(0o777)
        (path / "in").mkdir()
        (path / "in").chmod(0o777)
        yield path


def write(folder: Path, kind: str) -> Path:
    path = folder / "in" / "wrong.dat"
    made = WRONG[kind]
    if isinstance(made, bytes):
        path.write_bytes(made)
    else:
        made(path)
    return path


@contextmanager
def other_user() -> Iterator[None]:
    """Act as a user without privileges; root reads every file."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Stop a reader that waits for a pipe or reads a device without end."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"not finished in {seconds} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def contents(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("reader", READERS)
def test_a_wrong_file_is_refused_by_name(reader: str, kind: str, folder: Path):
    path = write(folder, kind)
    before = contents(folder)
    with time_limit(20), other_user() if kind == "no permission" else time_limit(20):
        if (reader, kind) in READABLE:
            READERS[reader](path, folder / "out")
            return
        with pytest.raises(InputError) as caught:
            READERS[reader](path, folder / "out")
    text = str(caught.value)
    assert str(folder / "in") in text
    assert caught.value.remedy, text
    assert len(text) < 1000
    assert contents(folder) == before


USED = (
    "folder",
    "empty",
    "text",
    "png",
    "gzip of text",
    "cut gzip",
    "random bytes",
    "npz of objects",
    "npy of objects",
    "hdf5 of anndata",
    "hdf5 with links that lead nowhere",
    "hdf5 with odd arrays",
    "matlab 5 with a cell array",
    "safetensors of another program",
    "cut safetensors",
    "json of the wrong types",
    "toml of the wrong types",
    "socket",
    "device",
    "link that leads nowhere",
)
"""Kinds of wrong files for commands, which call the same readers."""

COMMANDS = {
    "model of predict": "predict WRONG bed --genome genome --out OUT",
    "input of predict": "predict model WRONG --genome genome --out OUT",
    "genome of predict": "predict model bed --genome WRONG --out OUT",
    "model of variants": "variants WRONG vcf --genome genome --out OUT",
    "input of variants": "variants model WRONG --genome genome --out OUT",
    "genome of variants": "variants model vcf --genome WRONG --out OUT",
    "contig map of variants": "variants model vcf --genome genome --chrom-map WRONG --out OUT",
    "background of variants": "variants model vcf --genome genome --calibrate WRONG --out OUT",
    "model of mutate": "mutate WRONG genome --out OUT",
    "input of mutate": "mutate model WRONG --genome genome --out OUT",
    "input of attribute": "attribute model WRONG --genome genome --out OUT",
    "data of attribute": "attribute model WRONG --split test --out OUT",
    "model of evaluate": "evaluate WRONG dataset --out OUT",
    "data of evaluate": "evaluate model WRONG --out OUT",
    "published metrics of evaluate": "evaluate model dataset --paper-table WRONG --out OUT",
    "model of motifs": "motifs WRONG dataset --out OUT",
    "data of motifs": "motifs model WRONG --out OUT",
    "database of motifs": "motifs model dataset --database WRONG --out OUT",
    "model of marginalize": "marginalize WRONG --motif GATA --out OUT",
    "motifs of marginalize": "marginalize model --motif GATA --motifs WRONG --out OUT",
    "background of marginalize": "marginalize model --motif GATA --background WRONG --out OUT",
    "sequences of marginalize": "marginalize model --motif GATA --ablate WRONG --out OUT",
    "model of summary": "summary WRONG",
    "model of export": "export WRONG --to onnx --out OUT",
    "data of train": "train WRONG --out OUT",
    "configuration of train": "train dataset --config WRONG --out OUT",
    "card of train": "train dataset --card WRONG --out OUT",
    "motifs of train": "train dataset --initial-motifs WRONG --out OUT",
    "genome of build": "data build --genome WRONG --tracks bed OUT",
    "tracks of build": "data build --genome genome --tracks WRONG OUT",
    "excluded regions of build": "data build --genome genome --tracks bed --exclude WRONG OUT",
    "files of convert": "data convert WRONG WRONG WRONG OUT --channels ACGT",
    "file of info": "data info WRONG",
    "weights of import": "import WRONG --format selene-danq --out OUT",
    "mapping of import": "import model --format torch --mapping WRONG --out OUT",
    "variant effects": "classify-variants WRONG bed --out OUT",
    "measured variants": "benchmark-variants model WRONG --genome genome --out OUT",
    "baseline": "benchmark-variants model measured --genome genome --baseline WRONG --out OUT",
    "output to report on": "report WRONG --out OUT",
    "model of report": "report dataset --model WRONG --out OUT",
    "genome of report": "report dataset --genome WRONG --out OUT",
    "genes of report": "report dataset --genes WRONG --out OUT",
    "observed track of report": "report dataset --observed WRONG --out OUT",
    "vision model": "vision predict WRONG bed",
}
"""Commands with ``WRONG`` for the wrong file, and names of good files."""

SMALL = Architecture(filters=4, width=6, pool=4, hidden=3, dense=(5,))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files that a command can read."""
    folder = tmp_path_factory.mktemp("good")
    data = small_dataset(90, 2000)
    codes = data.genome.codes("chr1")
    data.save(folder / "data.h5")
    model = untrained("test", SMALL, ("Reb1", "Abf1"), 60, 20)
    save_model(folder / "model.safetensors", model.module, model.spec)
    (folder / "genome.fa").write_text(f">chr1\n{decode(codes)}\n")
    (folder / "peaks.bed").write_text("chr1\t100\t120\nchr1\t500\t540\n")
    (folder / "variants.vcf").write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        f"chr1\t101\t.\t{decode(codes[100:101])}\t{decode((codes[100:101] + 1) % 4)}\t.\t.\t.\n"
    )
    rows = ["chrom\tpos\tref\talt\teffect\tlabel"]
    for i in range(100, 1000, 90):
        ref, alt = decode(codes[i : i + 1]), decode((codes[i : i + 1] + 1) % 4)
        rows.append(f"chr1\t{i + 1}\t{ref}\t{alt}\t{i}\t{i % 4 // 2}")
    (folder / "measured.tsv").write_text("\n".join(rows) + "\n")
    names = {"model": "model.safetensors", "dataset": "data.h5", "genome": "genome.fa"}
    names |= {"measured": "measured.tsv"}
    names |= {"bed": "peaks.bed", "vcf": "variants.vcf"}
    return {name: str(folder / file) for name, file in names.items()}


@pytest.mark.parametrize("kind", USED)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_refuses_a_wrong_file_by_name(
    command: str,
    kind: str,
    folder: Path,
    good: dict[str, str],
    capfd: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
):
    path = write(folder, kind)
    before = contents(folder)
    words = {**good, "WRONG": str(path), "OUT": str(folder / "out" / "result.h5")}
    monkeypatch.chdir(folder)
    with time_limit(20):
        code = cli.run([words.get(word, word) for word in COMMANDS[command].split()])
    text = capfd.readouterr().err
    assert "Traceback" not in text
    assert code == 2, text
    assert str(path) in text
    assert contents(folder) == before
