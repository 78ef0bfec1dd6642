"""What the first call of a command takes longer than the second: numba compiles kernels.

    python -m benchmarks.first_use variants RUN VCF --genome FASTA --out OUT.tsv

runs a command twice, each time in a new process and with one new cache, and prints the seconds of
both, and each kernel that the first one compiled, with its seconds of processor time, which include
those of kernels that it calls first.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CALL = """
import sys, time
from danq import _kernel_cache as cache
begun, file_name = {}, sys.argv[1]
load, save = cache._KernelCache.load_overload, cache._KernelCache.save_overload
def timed_load(self, sig, context):
    found = load(self, sig, context)
    if found is None:
        begun[self, sig] = time.thread_time()
    return found
def timed_save(self, sig, data):
    seconds = time.thread_time() - begun.pop((self, sig), time.thread_time())
    with open(file_name, "a") as file:
        function = self._py_func
        print(f"{seconds:6.2f}  {function.__module__}.{function.__name__}{sig}", file=file)
    save(self, sig, data)
cache._KernelCache.load_overload, cache._KernelCache.save_overload = timed_load, timed_save
from danq_cli.start import main
sys.argv[1:] = sys.argv[2:]
sys.exit(main())
"""


def run(arguments: list[str], cache: Path, kernels: Path) -> float:
    """Seconds of a command in a new process."""
    folders = {"NUMBA_CACHE_DIR": str(cache / "numba"), "DANQ_CACHE": str(cache / "danq")}
    begun = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", CALL, str(kernels), *arguments],
        env={**os.environ, **folders},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - begun


def main(arguments: list[str]) -> None:
    """Print the seconds and the kernels."""
    with tempfile.TemporaryDirectory() as folder:
        cache, kernels = Path(folder), Path(folder, "kernels.txt")
        (cache / "numba").mkdir()
        first = run(arguments, cache, kernels)
        lines = kernels.read_text().splitlines() if kernels.exists() else []
        second = run([*arguments, "--overwrite"], cache, Path(folder, "second.txt"))
    print(f"first {first:.1f} s, second {second:.1f} s, {len(lines)} kernels")
    print("\n".join(sorted(lines, reverse=True)))


if __name__ == "__main__":
    main(sys.argv[1:])
