"""Readers of files, and valid files for each of them."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import struct
import tempfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pybigtools
import safetensors.torch
import torch

import danq
from danq.datasets import (
    Dataset,
    build_sequence_dataset,
    convert_dataset,
    find_tracks,
    summarise,
)
from danq.datasets.sequence_table import TableColumns, read_sequence_table
from danq.errors import InputError
from danq.evaluation.published_metrics import read_paper
from danq.files.recognise import SEAL
from danq.files.sealed_hdf5 import seal_of
from danq.genome.bed import read_bed
from danq.genome.contig_names import read_chrom_map
from danq.genome.fasta import Genome, read_fasta
from danq.genome.motif_files import read_motifs
from danq.genome.packed_genome import PackedGenome
from danq.genome.regions import Region
from danq.genome.signal import Bins, read_signal
from danq.genome.variants import open_variants
from danq.inference.variants.background_file import read_background
from danq.interpretation.variant_classification.effect_features import read_effects, read_table
from danq.models.weight_import import InputLayout, import_weights
from danq.models.weight_import.torch_mapping import read_mapping
from danq.simulation.ground_truth import read_truth
from danq.track_names import track_names
from danq.training.config import read_config
from danq.vision import read_clip
from danq.vision.input_files import read_lines
from danq.vision.input_files import read_table as read_numbers
from tests.reseal import BEFORE
from tests.small_commands import write_inputs
from tests.test_reader_matrix import MEME, bgzip

Read = Callable[[Path], object]
Reseal = Callable[[bytes, Callable[[bytes], bytes]], bytes]


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes
    ----------
    suffix
        End of the name of the damaged file.
    read
        Reads a file.
    binary
        Whether the format is binary.
    reseal
        Damages the content of a file and gives it a right checksum, as a hostile file has.
    """

    suffix: str
    read: Read
    binary: bool = False
    reseal: Reseal | None = None


def reseal_inside_gzip(data: bytes, damage: Callable[[bytes], bytes]) -> bytes:
    """Damage the content of a gzip file."""
    return gzip.compress(damage(gzip.decompress(data)), 1, mtime=0)


def reseal_inside_bgzip(data: bytes, damage: Callable[[bytes], bytes]) -> bytes:
    """Damage the content of a bgzip file."""
    return bgzip(damage(gzip.decompress(data)))


REFERENCE = PackedGenome.from_contigs([("chr1", np.tile(np.arange(4, dtype=np.uint8), 150))])
VCF = (
    "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=600>\n"
    '##INFO=<ID=X,Number=1,Type=Integer,Description="x">\n'
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="g">\n'
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ts1\n"
    "chr1\t2\tv1\tC\tA\t.\tPASS\tX=1\tGT\t0|1\n"
    "chr1\t6\tv2\tC\tG,CT\t30\t.\tX=2\tGT\t1|2\n"
    "chr1\t9\t.\tACG\tA\t.\t.\t.\tGT\t./.\n"
)


def variants(path: Path) -> None:
    with open_variants(path, REFERENCE) as reader:
        for block in reader:
            block.alt  # noqa: B018


def beside_variants(ending: str) -> Read:
    """A reader of variants through a damaged index, which must not change what is read."""

    def read(path: Path) -> None:
        folder = path.parent / f"variants-{ending[1:]}"
        folder.mkdir(exist_ok=True)
        file = folder / "v.vcf.gz"
        if not file.exists():
            write_bgzip(file)
        beside = shutil.copyfile(path, folder / f"{file.name}{ending}")
        try:
            with open_variants(file, REFERENCE, regions=[Region("chr1", 0, 600)]) as reader:
                count = sum(block.records for block in reader)
        except InputError as error:
            if str(beside) not in str(error):
                raise
            raise InputError(error.problem, file=path, remedy=error.remedy) from error
        if count != 3:
            raise RuntimeError("the variants were read wrong")

    return read


def write_bgzip(file: Path) -> None:
    import pysam

    with pysam.BGZFile(str(file), "wb", None) as out:
        out.write(VCF.encode())


def saved_index(ending: str) -> bytes:
    """Index of the VCF."""
    import pysam

    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "v.vcf.gz"
        write_bgzip(file)
        pysam.tabix_index(str(file), preset="vcf", csi=ending == ".csi")
        return Path(f"{file}{ending}").read_bytes()


def genome(path: Path) -> None:
    with Genome(path) as one:
        for name in one.contigs:
            one.codes(name)


def dataset(path: Path) -> None:
    data = Dataset.open(path)
    rows = np.arange(len(data))
    data.codes(rows)
    data.target_values(rows)
    data.lengths(rows)
    data.weights(rows)
    data.positives("train")
    summarise(data)


def dataset_of_amounts(path: Path) -> None:
    """Write a dataset of sequences of two lengths, with amounts, weights and folds."""
    table = path.with_suffix(".tsv")
    rows = [f"{'ACGTTGCA' * 4}{'ACGT'[at % 4] * (at + 1)}\t{at}.5\t1\t{at % 3}" for at in range(6)]
    table.write_text("\n".join(["sequence\tamount\tweight\tfold", *rows]) + "\n")
    build_sequence_dataset(path, table)


def model(path: Path) -> None:
    loaded = danq.load(path)
    if loaded.window <= 1000 and len(loaded.tracks) <= 10:
        danq.predict(loaded, ["A" * loaded.window])


SEQUENCES = (
    "id\tsequence\texpression\tother\tsplit\tweight\tfold\tleft\n"
    "a\tACGTACGTACGT\t1.5\tNA\ttrain\t1\t1\tAC\n"
    "b\tACGTNCGTACG\t-2\t3\tvalid\t0.5\t2\t\n"
    "c\tacgtacgtacgt\t2.5\t1e2\ttrain\t1\t1\tAC\n"
    "d\tGGGTTTAAACCC\t0\t7\ttest\t2\t3\tG\n"
)


def sequences(path: Path) -> None:
    read_sequence_table(path, TableColumns(left_flank="left"))


def background(path: Path) -> None:
    found = read_background(path)
    values = np.zeros((2, len(found.tracks)), np.float32)
    found.evalues(values)
    found.quantiles(values)
    found.p(values, np.zeros(2, np.int64))


def signal(path: Path) -> None:
    start = np.arange(0, 600, 20)
    bins = {"chr1": Bins(start, start + 30)}
    read_signal(path, {"chr1": 700, "chr2": 50}, bins, gaps="mask")


def bigwig(path: Path) -> None:
    rows = [("chr1", 5 * i, 5 * i + 4, float(i % 7)) for i in range(120)]
    pybigtools.open(str(path), "w").write({"chr1": 700, "chr2": 50}, iter(rows))


def into_folder(read: Callable[[Path, Path], object]) -> Read:
    """A reader that writes into a folder, too."""

    def run(path: Path) -> None:
        with tempfile.TemporaryDirectory() as name:
            read(path, Path(name))

    return run


def weights(format: str) -> Read:
    def read(path: Path, out: Path) -> None:
        mapping = None
        if format == "torch":
            mapping = out / "mapping.toml"
            mapping.write_text(MAPPING)
        settings: dict[str, object] = {}
        if format.startswith("keras"):
            settings = {"backward": "reversed", "layout": InputLayout(window=40, bin=10)}
        import_weights(path, out / "m.safetensors", format=format, mapping=mapping, **settings)

    return into_folder(read)


def arrays(path: Path, out: Path) -> None:
    convert_dataset(out / "d.h5", [path] * 3, channels="ACGT", bin=10)


def beside_genome(name: str, ending: str, plain: bytes, packed: bytes | None = None) -> Read:
    """A reader of a genome with a damaged file beside it, which must not change what is read."""

    def read(path: Path) -> None:
        folder = path.parent / f"beside-{name}"
        folder.mkdir(exist_ok=True)
        fasta = folder / ("g.fa" if packed is None else "g.fa.gz")
        fasta.write_bytes(plain if packed is None else packed)
        shutil.copyfile(path, folder / f"{fasta.name}{ending}")
        with Genome(fasta) as one:
            found = {name: one.codes(name).tolist() for name in one.contigs}
        expected = {
            record.split(b"\n")[0].decode(): b"".join(record.split(b"\n")[1:]).decode()
            for record in plain.split(b">")[1:]
        }
        letters = {k: ["ACGTN".index(base) for base in text] for k, text in expected.items()}
        if found != letters:
            raise RuntimeError("the genome was read wrong")

    return read


MAPPING = (
    "window = 40\nbin = 10\n[architecture]\nfilters = 8\nwidth = 5\npool = 3\nhidden = 4\n"
    + ("dense = [6]\n")
)
JASPAR = ">M1 one\nA [ 3 0 ]\nC [ 1 4 ]\nG [ 0 0 ]\nT [ 0 0 ]\n"
TRANSFAC = (
    "ID one\nBF x\nP0      A      C      G      T\n01      1      2      2      0      S\n//\n"
)
PAPER = "Cell Type\tTF/DNase/HistoneMark\tTreatment\tDanQ ROC AUC\nK\tA\tNone\t0.9\n"
SCORED = "chrom\tpos\tid\tref\talt\tA_diff\tA_logit\nchr1\t2\tv\tC\tA\t0.1\t0.5\n"


def matlab5() -> bytes:
    """A MATLAB 5 file with compressed one-hot arrays and labels."""

    def element(kind: int, data: bytes) -> bytes:
        return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)

    def matrix(name: str, array: np.ndarray) -> bytes:
        sizes = struct.pack(f"<{array.ndim}i", *array.shape)
        inside = (
            element(6, struct.pack("<II", 9, 0))
            + element(5, sizes)
            + element(1, name.encode())
            + element(2, array.astype(np.uint8).tobytes(order="F"))
        )
        packed = zlib.compress(element(14, inside))
        return struct.pack("<II", 15, len(packed)) + packed

    one_hot, labels = one_hot_arrays()
    return (
        b"MATLAB 5.0 MAT-file".ljust(124)
        + b"\x00\x01IM"
        + matrix("x", one_hot)
        + matrix("y", labels)
    )


def one_hot_arrays() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    codes = rng.integers(0, 4, (6, 40))
    return np.eye(4, dtype=np.uint8)[codes].transpose(0, 2, 1), rng.integers(0, 2, (6, 2))


def saved(write: Callable[[Path], object], suffix: str = "") -> bytes:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / f"seed{suffix}"
        write(path)
        return path.read_bytes()


def hdf5(path: Path, *, user_block: int = 0, **options: object) -> None:
    one_hot, labels = one_hot_arrays()
    with h5py.File(path, "w", userblock_size=user_block) as file:
        file.create_dataset("x", data=one_hot, **options)
        file.create_dataset("y", data=labels.astype(np.uint8), **options)


def keras(path: Path, **options: object) -> None:
    """Weights of a small DanQ for windows of 40 bases, in the layout of Keras 0.2."""
    rng = np.random.default_rng(6)
    layers = {
        0: [(2, 4, 5, 1), (2,)],
        3: 8 * [(2, 2), (2, 2), (2,)],
        6: [(8, 3), (3,)],
        8: [(3, 2), (2,)],
    }
    with h5py.File(path, "w", **options) as file:
        file.attrs["nb_layers"] = 10
        for number in range(10):
            group = file.create_group(f"layer_{number}")
            shapes = layers.get(number, [])
            group.attrs["nb_params"] = len(shapes)
            for n, shape in enumerate(shapes):
                group[f"param_{n}"] = rng.normal(size=shape).astype(np.float32)


def make_seeds() -> dict[str, tuple[bytes, ...]]:
    """Valid files of each reader."""
    with tempfile.TemporaryDirectory() as name:
        folder = write_inputs(Path(name))
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    one_hot, labels = one_hot_arrays()
    fasta = files["genome.fa"]
    bcf = saved_bcf()
    short = SHORT
    state = safetensors.torch.load(files["weights.safetensors"])
    table = pl.DataFrame(
        {
            "chrom": ["chr1"] * 3,
            "pos": [2, 6, 9],
            "id": ["a", "b", "."],
            "ref": ["C", "C", "A"],
            "alt": ["A", "G", "T"],
            "A_diff": [0.1, -0.2, 0.0],
            "A_logit": [0.5, -0.7, 0.0],
        }
    )
    npz = saved(lambda path: np.savez(path, x=one_hot, y=labels), ".npz")
    npz_packed = saved(lambda path: np.savez_compressed(path, x=one_hot, y=labels), ".npz")
    images = [saved(lambda path, kind=kind: write_image(path, kind), kind) for kind in IMAGES]
    return {
        "model": (files["model.safetensors"],),
        "dataset": (files["data.h5"], saved(dataset_of_amounts)),
        "background": (files["background.h5"],),
        "one-hot HDF5": (
            saved(hdf5),
            saved(lambda path: hdf5(path, compression="gzip", shuffle=True)),
            saved(lambda path: hdf5(path, chunks=True)),
            saved(lambda path: hdf5(path, user_block=512)),
        ),
        "one-hot npz": (npz, npz_packed),
        "one-hot MATLAB 5": (matlab5(),),
        "BCF": (bcf,),
        "Parquet of effects": (saved(table.write_parquet, ".parquet"),),
        "weights of Keras": (saved(keras), saved(lambda path: keras(path, libver="latest"))),
        "weights of torch": (saved(lambda path: torch.save(state, path)),),
        "weights in safetensors": (files["weights.safetensors"],),
        "array of numpy": (
            saved(lambda path: np.save(path, np.zeros((2, 3, 4, 5), np.uint8)), ".npy"),
        ),
        "image": tuple(images),
        "gzip of FASTA": (gzip.compress(fasta),),
        "bgzip of FASTA": (bgzip(fasta),),
        "bgzip of VCF": (bgzip(VCF.encode()),),
        "tabix index of a VCF": (saved_index(".tbi"),),
        "CSI index of a VCF": (saved_index(".csi"),),
        "index of a FASTA": (b"chr1\t11\t6\t8\t9\nchr2\t4\t25\t4\t5\n",),
        "index of a bgzip FASTA": (struct.pack("<Q", 0), struct.pack("<3Q", 1, 60, 16)),
        "genome": (fasta, short),
        "FASTA of sequences": (files["short.fa"],),
        "bigWig": (saved(bigwig, ".bw"),),
        "bedGraph": (
            b"track type=bedGraph\nchr1\t0\t10\t1.5\nchr1\t12\t20\t-2e3\nchr2\t0\t5\tNA\n",
        ),
        "wiggle": (
            b"fixedStep chrom=chr1 start=1 step=5 span=5\n1\n2.5\n-3\n"
            b"variableStep chrom=chr1 span=2\n100 1\n110 2\nvariableStep chrom=chr2\n5 1\n",
        ),
        "table of sequences": (SEQUENCES.encode(), SEQUENCES.replace("\t", ",").encode()),
        "Parquet of sequences": (
            saved(pl.read_csv(SEQUENCES.encode(), separator="\t").write_parquet, ".parquet"),
        ),
        "BED": (files["rows.bed"], b"chr1\t1\t5\ta\t0\t+\t1.5\t-1\t-1\t2\n" * 3),
        "VCF": (VCF.encode(),),
        "table of variants": (files["table.tsv"],),
        "MEME": (MEME.encode(), files["known.meme"]),
        "JASPAR": (JASPAR.encode(),),
        "TRANSFAC": (TRANSFAC.encode(),),
        "sample sheet": (b"Reb1\tdamaged.tsv\nAbf1\tdamaged.tsv\n",),
        "contig map": (files["map.tsv"],),
        "track names": (files["names.txt"],),
        "labels": (files["labels.tsv"],),
        "effects": (SCORED.encode(), files["scored.tsv"]),
        "published metrics": (PAPER.encode(), files["aucs.txt"]),
        "configuration": (files["config.toml"],),
        "mapping of weights": (MAPPING.encode(),),
        "truth of a simulation": (truth(),),
        "texts": (b"one two\nthree\n",),
        "numbers": (b"1\t2\t3\n4\t5\t6\n",),
    }


IMAGES = (".png", ".gif", ".jpg", ".bmp")


def write_image(path: Path, kind: str) -> None:
    from PIL import Image

    Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 10, 3)).save(path)


def truth() -> bytes:
    """The truth of a small simulation."""
    from danq_cli.main import run

    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / "s"
        words = f"simulate {out} --size 60000 --contigs 3 --track CTCF --variants 5"
        if run(words.split()) != 0:
            raise RuntimeError(words)
        return (out / "truth.json").read_bytes()


def saved_bcf() -> bytes:
    """The VCF as BCF."""
    import pysam

    with tempfile.TemporaryDirectory() as name:
        text, out = Path(name) / "v.vcf", Path(name) / "v.bcf"
        text.write_text(VCF)
        with pysam.VariantFile(str(text)) as source:
            target = pysam.VariantFile(str(out), "wb", header=source.header)
            for record in source:
                target.write(record)
            target.close()
        return out.read_bytes()


def reseal_model(data: bytes, damage: Callable[[bytes], bytes]) -> bytes:
    """Damage the header or the tensors of a sealed safetensors file."""
    start = 8 + len(BEFORE)
    content = data[:start] + b"0" * 64 + damage(data[start + 64 :])
    return content[:start] + hashlib.sha256(content).hexdigest().encode() + content[start + 64 :]


def reseal_hdf5(data: bytes, damage: Callable[[bytes], bytes]) -> bytes:
    """Damage the objects of a sealed HDF5 file."""
    kind = data.split(b" ", 4)[3].decode()
    content = io.BytesIO(data[:SEAL] + damage(data[SEAL:]))
    return seal_of(content, kind) + content.getvalue()[SEAL:]


SHORT = b">chr1\nACGTACGT\nACG\n>chr2\nTTTT\n"

TARGETS: Mapping[str, Target] = {
    "model": Target(".safetensors", model, True, reseal_model),
    "dataset": Target(".h5", dataset, True, reseal_hdf5),
    "background": Target(".h5", background, True, reseal_hdf5),
    "one-hot HDF5": Target(".h5", into_folder(arrays), True),
    "one-hot npz": Target(".npz", into_folder(arrays), True),
    "one-hot MATLAB 5": Target(".mat", into_folder(arrays), True),
    "BCF": Target(".bcf", variants, True, reseal_inside_bgzip),
    "Parquet of effects": Target(".parquet", read_effects, True),
    "weights of Keras": Target(".h5", weights("keras-danq"), True),
    "weights of torch": Target(".pt", weights("torch"), True),
    "weights in safetensors": Target(".safetensors", weights("torch"), True),
    "array of numpy": Target(".npy", read_clip, True),
    "image": Target(".png", read_clip, True),
    "gzip of FASTA": Target(".fa.gz", genome, True, reseal_inside_gzip),
    "bgzip of FASTA": Target(".fa.gz", genome, True, reseal_inside_bgzip),
    "bgzip of VCF": Target(".vcf.gz", variants, True),
    "tabix index of a VCF": Target(".tbi", beside_variants(".tbi"), True, reseal_inside_bgzip),
    "CSI index of a VCF": Target(".csi", beside_variants(".csi"), True, reseal_inside_bgzip),
    "index of a FASTA": Target(".fai", beside_genome("fai", ".fai", SHORT)),
    "index of a bgzip FASTA": Target(
        ".gzi", beside_genome("gzi", ".gzi", SHORT, bgzip(SHORT)), True
    ),
    "genome": Target(".fa", genome),
    "FASTA of sequences": Target(".fa", lambda path: list(read_fasta(path))),
    "bigWig": Target(".bw", signal, True),
    "bedGraph": Target(".bedgraph", signal),
    "wiggle": Target(".wig", signal),
    "table of sequences": Target(".tsv", sequences),
    "Parquet of sequences": Target(".parquet", sequences, True),
    "BED": Target(".bed", read_bed),
    "VCF": Target(".vcf", variants),
    "table of variants": Target(".tsv", variants),
    "MEME": Target(".meme", read_motifs),
    "JASPAR": Target(".jaspar", read_motifs),
    "TRANSFAC": Target(".transfac", read_motifs),
    "sample sheet": Target(".tsv", find_tracks),
    "contig map": Target(".tsv", read_chrom_map),
    "track names": Target(".txt", lambda path: track_names(path, 2)),
    "labels": Target(".tsv", lambda path: read_table(path, "id", "label")),
    "effects": Target(".tsv", read_effects),
    "published metrics": Target(".txt", read_paper),
    "configuration": Target(".toml", read_config),
    "mapping of weights": Target(".toml", read_mapping),
    "truth of a simulation": Target(".json", read_truth),
    "texts": Target(".txt", read_lines),
    "numbers": Target(".txt", lambda path: read_numbers(path, 3, "Give three columns")),
}
"""Every reader, by name."""
