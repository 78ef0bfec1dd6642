"""What `danq doctor` reads of the machine, what it finds, and its exit code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.version import Version

import danq
from danq.diagnosis import caches, devices, forward_check, machine, packages
from danq.diagnosis.report import Card, Finding, Machine, Package, size_text
from danq_cli.main import run

ROOT = Path(__file__).resolve().parents[2]


def files(root: Path, **texts: str) -> Path:
    for name, text in texts.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def group(root: Path, path: str, **texts: str) -> None:
    folder = root / "sys/fs/cgroup" / path
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_the_smallest_limit_of_the_control_groups_counts(tmp_path):
    files(tmp_path, proc__self__cgroup="0::/batch/job/step\n")
    group(tmp_path, "batch/job/step", cpu__max="max 100000\n", memory__max="max\n")
    group(tmp_path, "batch/job", cpu__max="150000 100000\n", memory__max="4000000000\n")
    group(tmp_path, "batch", cpu__max="800000 100000\n", memory__max="9000000000\n")
    found = machine.read_machine(tmp_path)
    assert found.cpu_limit == 1.5
    assert found.memory_limit == 4_000_000_000


def test_limits_of_the_first_version_of_cgroup(tmp_path):
    files(tmp_path, proc__self__cgroup="5:cpu,cpuacct:/job\n4:memory:/job\n0::/\n")
    group(tmp_path, "memory/job", memory__limit_in_bytes="9223372036854771712\n")
    group(tmp_path, "cpu", cpu__cfs_quota_us="-1\n", cpu__cfs_period_us="100000\n")
    assert machine.read_machine(tmp_path).cpu_limit is None
    group(tmp_path, "cpu,cpuacct/job", cpu__cfs_quota_us="250000\n", cpu__cfs_period_us="100000\n")
    found = machine.read_machine(tmp_path)
    assert found.cpu_limit == 2.5
    assert found.memory_limit is None


def test_a_machine_without_proc_and_damaged_files(tmp_path):
    assert machine.read_machine(tmp_path).cpu_limit is None
    files(tmp_path, proc__self__cgroup="nonsense\n0::/../..\n", proc__meminfo="MemTotal: x kB\n")
    group(tmp_path, "", cpu__max="0 0 0\n")
    found = machine.read_machine(tmp_path)
    assert (found.cpu_limit, found.memory) == (None, None)


def own(**changes: object) -> Machine:
    some = Machine("Linux", "CPU", ("AVX2",), 8, None, 0.5, 64 << 30, None)
    return some._replace(**changes)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"cpu_limit": 2.5}, "may use 2.5 CPUs, but a run starts 8 threads"),
        ({"load": 30.0}, "30 programs compute on 8 cores"),
    ],
)
def test_what_makes_the_cpu_slow_is_found(changes, text, monkeypatch):
    for name in (*machine.SETTINGS, "NUMBA_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    assert list(machine.machine_findings(own())) == []
    assert list(machine.machine_findings(own(cpu_limit=8.0))) == []
    [found] = machine.machine_findings(own(**changes))
    assert found.kind == "slow"
    assert text in found.problem


def test_environment_variables_that_slow_danq(monkeypatch):
    for name in machine.SETTINGS:
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("NUMBA_NUM_THREADS", "2")
    text = " ".join(map(str, machine.machine_findings(own())))
    assert all(f"{name} is set" in text for name in machine.SETTINGS)
    assert "kernels use 2 of 8 cores" in text


def test_every_extra_for_users_has_a_purpose():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(packages.PURPOSES) == set(project["optional-dependencies"]) - {"test", "docs"}


def test_requirements_are_those_of_the_project():
    lines = ["numpy>=1.26", "pysam>=0.22; sys_platform != 'win32'", 'onnx>=1.16; extra == "export"']
    lines.append('triton>=3.6; sys_platform == "linux" and extra == "gpu"')
    found = list(packages._parsed(lines, "darwin"))
    assert [one.name for one in found] == ["numpy", "pysam", "onnx"]
    assert found[0].required == ">=1.26"
    assert [one.extra for one in found] == ["", "", "export"]
    assert list(packages._parsed(lines, "linux"))[3].extra == "gpu"


def test_missing_and_old_packages_are_broken():
    some = [
        Package("a", "2.6.0+cpu", ">=2.6"),
        Package("b", "1.9", ">=1.10"),
        Package("c", None, ""),
    ]
    found = list(packages.package_findings(some))
    assert [one.kind for one in found] == ["broken", "broken"]
    assert found[0].problem == "b has version 1.9, and danq requires >=1.10"
    assert "c is missing" in found[1].problem


@pytest.mark.parametrize("version", ["1", "1.0", "1.2.10", "1.10+cpu", "2.0", "0.9.9"])
@pytest.mark.parametrize("least", ["1", "1.2", "1.2.9", "1.10", "2.0.1"])
def test_versions_are_compared_as_pip_compares_them(version, least):
    assert packages._older(version, least) == (Version(version) < Version(least))


def test_a_card_that_torch_cannot_use(tmp_path):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("torch uses a card here")
    assert devices.find_devices(tmp_path).driver == ""
    text = (
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.133.20  Sun Mar 30\nGCC version: 12.3"
    )
    found = devices.find_devices(files(tmp_path, proc__driver__nvidia__version=text))
    assert found.driver == "570.133.20"
    [finding] = devices.device_findings(found)
    assert finding.kind == "slow"
    assert "driver 570.133.20 is installed, but torch" in finding.problem


@pytest.mark.parametrize(
    ("capability", "known", "supported"),
    [
        ("9.0", ["sm_80", "sm_90"], True),
        ("8.9", ["sm_80", "sm_90"], True),
        ("7.5", ["sm_80", "sm_90"], False),
        ("12.0", ["sm_80", "sm_90"], False),
        ("12.0", ["sm_80", "compute_90"], True),
        ("9.0", ["sm_90a", "sm_100"], True),
        ("12.0", ["sm_90", "sm_100"], False),
    ],
)
def test_builds_of_torch_have_code_for_some_cards(capability, known, supported):
    assert devices._is_supported(capability, known) == supported


def test_wrong_results_are_broken():
    right = forward_check.Forward(1.0, 0, 100.0, 60.0, 1e-7)
    assert list(forward_check.forward_findings(right, "fp32", 2)) == []
    for difference in (0.01, float("nan")):
        [found] = forward_check.forward_findings(right._replace(difference=difference), "fp32", 2)
        assert found.kind == "broken"
    [found] = forward_check.forward_findings(right._replace(one_thread=99.0), "fp32", 2)
    assert "2 threads are not faster than one" in found.problem


def test_caches_that_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.setenv("DANQ_CACHE", str(tmp_path))
    (tmp_path / "fasta").mkdir()
    (tmp_path / "fasta" / "genome.fa").write_bytes(b"x" * 1500)
    found = caches.find_caches()[1]
    assert (found.path, found.files, found.size) == (tmp_path, 1, 1500)
    assert caches.disk_speed() > 0
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("DANQ_CACHE", str(tmp_path / "file"))
    assert caches.disk_speed() is None
    found = caches.find_caches()
    assert not found[1].writable
    problems = [one.problem for one in caches.cache_findings(found, None)]
    assert any("the cache folder is not writable" in one for one in problems)
    [slow] = caches.cache_findings([one._replace(writable=True) for one in found], 5e6)
    assert "stores 5 MB/s" in slow.problem


@pytest.fixture(scope="module")
def report() -> danq.Diagnosis:
    return danq.doctor("cpu")


def test_this_installation_computes_what_torch_computes(report):
    assert report.measured.difference < 1e-4 or report.precision == "bf16"
    assert report.measured.windows_per_second > 0
    assert not report.is_broken, report.findings
    assert report.device == "cpu"
    assert {one.name for one in report.packages} >= {"torch", "numba", "numpy"}
    text = report.describe()
    assert f"danq {danq.__version__}, Python {sys.version.split()[0]}" in text
    [torch] = [one for one in report.packages if one.name == "torch"]
    assert f"torch {torch.version}" in re.sub(r"\s+", " ", text)
    assert max(map(len, text.splitlines())) <= 100


def test_random_numbers_of_the_caller_stay(report):
    import torch

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    forward_check.run_forward(torch.device("cpu"), "fp32")
    assert torch.equal(torch.rand(3), expected)


def test_a_notebook_shows_the_findings(report):
    from dataclasses import replace

    finding = Finding("slow", "<b>nothing</b> moves", "Wait")
    card = Card("cuda:0", "Some card", 80 << 30, 20 << 30, "9.0")
    page = replace(report, findings=[finding], cards=[card])._repr_html_()
    assert "&lt;b&gt;nothing&lt;/b&gt; moves" in page
    assert "capability 9.0, 21.5 GB of 85.9 GB free" in page


def test_sizes_are_readable():
    shown = [size_text(one) for one in (0, 999, 66_900, 12_400_000, 25.3e9)]
    assert shown == ["0 B", "999 B", "66.9 kB", "12.4 MB", "25.3 GB"]


def test_a_device_that_does_not_exist_is_refused(capsys):
    assert run(["doctor", "--device", "tpu"]) == 2
    assert "no device is named 'tpu'" in capsys.readouterr().err


def test_a_library_that_cannot_be_imported_is_broken(tmp_path):
    (tmp_path / "pysam.py").write_text("raise ImportError('libhts.so.3: cannot open')")
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    code = "from danq_cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "doctor", "--json", "--quiet"],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    found = json.loads(done.stdout)["result"]["findings"]
    assert found[0]["kind"] == "broken"
    assert "pysam cannot be imported (ImportError: libhts.so.3: cannot open)" in found[0]["problem"]
