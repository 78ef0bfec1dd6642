"""Only the modules listed here open files; all other code reads and writes through them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

FILES = {
    "danq/files/data_frames.py": "large tables of text, with polars",
    "danq/files/reading_process.py": "HDF5 and Parquet, in another process",
    "danq/files/separate_reader.py": "memory that it shares with that process",
    "danq/files/open_input.py": "every other file",
    "danq/files/pipes.py": "copies of pipes",
    "danq/files/sealed_safetensors.py": "safetensors of danq, and writes them",
    "danq/files/text_tables.py": "tables of text",
    "danq/files/toml_file.py": "TOML",
}
"""The layer that opens input files, and what each of its modules opens."""

READERS = {
    "danq/datasets/array_files.py": "npz, from the local copy of a pipe",
    "danq/genome/bed.py": "parses bytes of the text layer with polars",
    "danq/genome/signal/bedgraph.py": "parses bytes of the text layer with polars",
    "danq/genome/indexed_fasta.py": "FASTA by position",
    "danq/genome/variants/read_bcf.py": "BCF, with pysam",
    "danq/genome/variants/uncompressed_stream.py": "variants in order: pipes are read once",
    "danq/genome/variants/variant_index.py": "indexes of VCF and BCF",
    "danq/models/export_formats.py": "exported programs in memory, to compare them with models",
    "danq/models/weight_import/torch_tensors.py": "weights of torch",
    "danq/vision/clip_files.py": "images",
    "danq/vision/generators/spoken_symbols.py": "recordings in an installed package",
    "danq/vision/own_data/image_files.py": "images",
    "danq/vision/own_data/sequence_files.py": "npz, from its bytes",
    "danq/vision/own_data/video_files.py": "videos and sounds, from files that the layer opened",
}
"""Readers of formats that have libraries of their own, or are read in a special order."""

OWN = {
    "danq/_kernel_cache.py": "compiled code in danq's cache",
    "danq/cache_folder.py": "a sample of a file, for the name of its entry in the cache",
    "danq/cache_limit.py": "files of danq's cache, and their locks",
    "danq/datasets/leaked_windows.py": "danq's cache",
    "danq/device.py": "/proc/cpuinfo",
    "danq/diagnosis/devices.py": "the version of the driver in /proc",
    "danq/diagnosis/machine.py": "limits of the process in /proc and /sys",
    "danq/files/quiet.py": "the null device",
    "danq/file_lock.py": "locks of outputs",
    "danq/inference/blocks/finished_blocks.py": "blocks of a run",
    "danq/inference/blocks/folder.py": "blocks of a run",
    "danq/inference/blocks/stored_blocks.py": "blocks of a run",
    "danq/output/folder_marker.py": "markers of output folders",
    "danq/output/replacing_files.py": "new files, empty",
    "danq/output/temporary_names.py": "temporary files, empty, and their locks",
    "danq/vision/own_data/reading_worker.py": "memory shared with the process that it works for",
    "danq/vision/own_data/reading_workers.py": "memory shared with the processes that read",
    "danq/server/api.py": "writes an upload into the private folder of the server",
    "danq/server/app.py": "the files of its page",
    "cli/main.py": "the null device",
    "cli/signals.py": "the children of the process in /proc",
    "cli/streams.py": "the null device",
}
"""Files of danq itself and of the system."""

WRITERS = {
    "danq/datasets/hdf5_writer.py",
    "danq/demo/run_demo.py",
    "danq/genome/motif_files.py",
    "danq/inference/variants/finished_output.py",
    "danq/inference/variants/run_summary.py",
    "danq/inference/writers/attribution_modisco.py",
    "danq/inference/writers/folder_summary.py",
    "danq/inference/writers/hdf5.py",
    "danq/inference/writers/prediction_bigwig.py",
    "danq/inference/writers/tsv.py",
    "danq/inference/writers/variant_deepsea.py",
    "danq/inference/writers/variant_vcf.py",
    "danq/interpretation/attribution_motifs/write_attribution_motifs.py",
    "danq/interpretation/sequence_design/write_designs.py",
    "danq/interpretation/motifs/write_motifs.py",
    "danq/models/ensemble_file.py",
    "danq/models/export.py",
    "danq/report/report_file.py",
    "danq/simulation/ground_truth.py",
    "danq/simulation/simulated_variants.py",
    "danq/simulation/simulator.py",
    "danq/training/config.py",
    "danq/training/pretrained.py",
    "danq/training/folds_directory.py",
    "danq/training/run_log.py",
    "danq/vision/benchmark.py",
    "danq/vision/clip_writer.py",
    "danq/vision/dataset_folder.py",
    "danq/vision/evaluation.py",
    "danq/vision/export.py",
    "danq/vision/own_data/training_files.py",
    "danq/vision/prediction_table.py",
    "danq/vision/tasks/impact_sounds.py",
    "danq/vision/training_run.py",
}

LIBRARIES = {
    "bz2",
    "gzip",
    "h5py",
    "io",
    "lzma",
    "mmap",
    "np",
    "os",
    "pl",
    "pyfaidx",
    "pysam",
    "safetensors",
    "torch",
    "wave",
    "zipfile",
    "Image",
}
FUNCTIONS = {
    "BGZFile",
    "Faidx",
    "Fasta",
    "File",
    "GzipFile",
    "TabixFile",
    "VariantFile",
    "ZipFile",
    "fromfile",
    "genfromtxt",
    "load",
    "load_file",
    "loadtxt",
    "memmap",
    "mmap",
    "open",
    "read_csv",
    "read_ipc",
    "read_parquet",
    "safe_open",
    "save",
    "savez",
    "scan_csv",
    "scan_parquet",
    "tabix_compress",
    "tabix_index",
}
METHODS_OF_DANQ = {
    "Dataset.open",
    "output.open",
    "run.open",
    "self.input.open",
    "self.open",
    "self.writer.open",
    "source.open",
}
"""Methods named ``open`` of danq's own classes."""

METHODS = {"read_text", "read_bytes", "write_text", "write_bytes"}


def opened(path: Path) -> Iterator[tuple[int, str]]:
    """Line and function of each call that opens a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        first = name.partition(".")[0]
        last = name.rpartition(".")[2]
        if (
            name == "open"
            or (first in LIBRARIES and last in FUNCTIONS)
            or last in METHODS
            or (last == "open" and name not in METHODS_OF_DANQ)
        ):
            yield node.lineno, name


def test_only_readers_and_writers_open_files():
    found = {
        str(path.relative_to(ROOT)): list(opened(path))
        for folder in ("danq", "cli")
        for path in sorted((ROOT / folder).rglob("*.py"))
    }
    found = {name: calls for name, calls in found.items() if calls}
    allowed = {*FILES, *READERS, *OWN, *WRITERS}
    assert {name: calls for name, calls in found.items() if name not in allowed} == {}
    assert allowed - found.keys() == set()


def test_calls_that_open_files_are_found(tmp_path):
    module = tmp_path / "module.py"
    module.write_text(
        "open(x)\npath.open('rb')\npath.open(encoding='utf-8')\ngzip.open(x)\nh5py.File(x, 'r')\n"
        "pysam.VariantFile(x)\npl.read_csv(x)\nnp.load(x)\npath.read_text()\npath.open()\npath.open(mode)\n"
        "source.open(a, b)\n"
        "Dataset.open(path)\nmodel.load(x)\n"
    )
    assert [line for line, _ in opened(module)] == list(range(1, 12))
