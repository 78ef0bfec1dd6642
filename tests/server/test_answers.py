"""Answers to every form of input are those of the library and of the commands."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import torch
from starlette.testclient import TestClient

import danq
from danq.models import save_model
from danq.server.app import make_app
from danq_cli.main import run
from tests.server.conftest import BASE, CONTIGS, TRACKS, User

VCF = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
FP32 = ["--device", "cpu", "--precision", "fp32", "--threads", "1"]


def rows_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("#")]


def change(base: str) -> str:
    return "ACGT"["ACGT".index(base) - 1]


@pytest.mark.parametrize("form", [str, str.lower, lambda s: f"{s[:20]}\n {s[20:]}\r\n"])
def test_a_typed_sequence(user, model, bases, form):
    sequence = bases["chr1"][50:90]
    found = user.answer("predict", form(sequence))
    assert found["columns"] == list(model.tracks)
    assert found["names"] == ["sequence"]
    assert np.float32(found["data"]).tolist() == danq.predict(model, sequence).values.tolist()


@pytest.mark.parametrize(
    "text",
    ["chr1:101-140", " 1:101-140 ", "chr1:101-140\nchr1:7-30\n", "HLA*01:02:3-40", "HLA*01:02",
     f"{CONTIGS[1]}:5-44", "chr1:1-"],
)  # fmt: skip
def test_typed_regions(user, model, folder, text):
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    expected = danq.predict(model, danq.Regions(lines, folder / "genome.fa"))
    found = user.answer("predict", text)
    assert np.float32(found["data"]).tolist() == expected.values.tolist()
    assert found["names"] == expected.names
    assert found["rows"] == expected.rows.to_dicts()


def test_a_matched_contig_name_is_reported(user):
    assert any("matched 1 as chr1" in one for one in user.state("predict", "1:5-9")["notices"])


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("pasted", [False, True])
def test_fasta_and_bed_files(user, folder, bases, tmp_path, pack, pasted):
    fasta = f">a x\n{bases['chr1'][:40]}\n>b\n{bases['chr1'][80:300]}\n"
    bed = "chr1\t3\t60\tfirst\nchr1\t70\t95\tsecond\n"
    (tmp_path / "in.fa").write_text(fasta)
    (tmp_path / "in.bed").write_text(bed)
    if pasted and pack is not bytes:
        pack = bytes
    for name, text, genome in (
        ("in.fa", fasta, []),
        ("in.bed", bed, ["--genome", str(folder / "genome.fa")]),
    ):
        out = tmp_path / f"{name}.tsv"
        line = [str(folder / "model.safetensors"), str(tmp_path / name), "--out", str(out)]
        assert run(["predict", *line, *genome, *FP32]) == 0
        body = text if pasted else pack(text.encode())
        assert rows_of(user.answer("predict", body, "table")) == rows_of(out.read_text())
        out = tmp_path / f"{name}.mutations.tsv"
        line[-1] = str(out)
        assert run(["mutate", *line, *genome, *FP32]) == 0
        assert rows_of(user.answer("mutate", body, "table")) == rows_of(out.read_text())


@pytest.mark.parametrize("form", ["vcf", "vcf.gz", "table", "pasted"])
def test_variant_files(user, folder, bases, tmp_path, form):
    one = bases["chr1"]
    records = [(p, one[p - 1], change(one[p - 1])) for p in (50, 120, 300)] + [(7, "N", "A")]
    lines = "".join(f"chr1\t{p}\tv{p}\t{r}\t{a}\t.\t.\t.\n" for p, r, a in records)
    table = "chrom\tpos\tref\talt\n" + "".join(f"chr1\t{p}\t{r}\t{a}\n" for p, r, a in records)
    text = table if form == "table" else VCF + lines
    path = tmp_path / "in.txt"
    path.write_text(text)
    out = tmp_path / "out.tsv"
    line = [str(folder / "model.safetensors"), str(path), "--genome", str(folder / "genome.fa")]
    assert run(["variants", *line, "--out", str(out), *FP32]) == 0
    body = {"vcf.gz": gzip.compress(text.encode()), "pasted": text}.get(form, text.encode())
    assert rows_of(user.answer("variants", body, "table")) == rows_of(out.read_text())
    found = user.answer("variants", body)
    assert (found["total"], found["rejected_total"]) == (3, 1)
    assert found["rejected"][0]["pos"] == 7


@pytest.mark.parametrize(
    "form",
    ["{c}:{p} {r}>{a}", "{c}:{p}{r}>{a}", "{c}:{p}:{r}:{a}", "{c}-{p}-{r}-{a}", "{c} {p} {r} {a}",
     "{c}\t{p}\t{r}\t{a}", "{c}:g.{p}{r}>{a}", "{c}:{p} {r} / {a}", "{c}:{p} {r} > {a}"],
)  # fmt: skip
@pytest.mark.parametrize("contig", ["chr1", "1", "HLA*01:02"])
def test_forms_of_typed_variants(user, model, folder, bases, form, contig):
    ref = bases[contig if contig in bases else "chr1"][99]
    text = form.format(c=contig, p=100, r=ref, a=change(ref))
    expected = danq.score_variants(model, [(contig, 100, ref, change(ref))], folder / "genome.fa")
    found = user.answer("variants", text)
    assert np.float32(found["data"]).tolist() == expected.values.tolist()
    assert found["columns"] == list(expected.columns)
    column = found["scores"]["diff"][1]
    assert found["columns"][column] == f"{model.tracks[1]}_diff"


def test_ids(user, model, folder, bases):
    ref = bases["chr1"][99]
    expected = danq.score_variants(model, [("chr1", 100, ref, change(ref))], folder / "genome.fa")
    for name in ("rs5", "rs6"):
        found = user.answer("variants", name)
        assert np.float32(found["data"]).tolist() == expected.values.tolist()
        assert found["rows"][0]["id"] == name


def test_ids_need_a_file_that_has_them(serve, user):
    assert "the file with IDs has no variant 'rs7'" in user.error("variants", "rs7")
    assert "the server has no file with IDs" in User(serve()).error("variants", "rs5")


def test_a_mutagenesis_map(user, model, folder):
    expected = danq.mutate(model, danq.Regions("chr1:101-140", folder / "genome.fa"))
    found = user.answer("mutate", "chr1:101-140", "map")
    assert found["first"] == 101
    assert found["bases"] == "".join(expected.rows["ref"])
    assert np.float32(found["effects"]).tolist() == expected.values[:, :, 0].tolist()
    assert np.float32(found["strongest"]).tolist() == (
        np.abs(expected.values).max(axis=(0, 1)).tolist()
    )


def test_maps_of_several_sequences_with_unknown_bases_and_another_effect(user, model):
    text = ">a\nACGTNACGTA\n>b\nTTGCATGCAT\n"
    state = user.state("mutate", text, effect="probability")
    get = f"/api/jobs/{state['id']}/map?sequence=1&track=2"
    found = user.client.get(get).json()
    expected = danq.mutate(model, {"a": "ACGTNACGTA", "b": "TTGCATGCAT"}, effect="probability")
    assert found["sequences"] == ["a:1-10", "b:1-10"]
    assert np.float32(found["effects"]).tolist() == expected.values[10:, :, 2].tolist()
    first = user.client.get(get.replace("sequence=1", "sequence=0")).json()
    assert first["effects"][4] == [None] * 4
    for wrong in ("sequence=2&track=0", "sequence=0&track=3"):
        response = user.client.get(f"/api/jobs/{state['id']}/map?{wrong}")
        assert response.status_code == 422


def test_the_map_of_a_variant_is_of_the_region_around_it(user, bases):
    text = f"chr1:20 {bases['chr1'][19]}>A"
    found = user.answer("mutate", text, "map")
    assert (found["name"], found["first"], len(found["bases"])) == ("chr1", 1, 70)


def test_parts_of_an_answer(user, bases):
    fasta = "".join(f">s{n}\n{bases['chr1'][n : n + 40]}\n" for n in range(30))
    state = user.state("predict", fasta)
    get = lambda query: user.client.get(f"/api/jobs/{state['id']}/rows{query}")  # noqa: E731
    assert get("").json()["total"] == 30
    assert get("").json()["names"] == [f"s{n}" for n in range(20)]
    assert get("?first=25&count=200").json()["names"] == [f"s{n}" for n in range(25, 30)]
    assert get("?first=30").json()["data"] == []
    for wrong in ("first=-1", "first=x", "count=201", "first=1e3", "first=٣", "count=nan"):
        assert get(f"?{wrong}").status_code == 400


def test_the_model_is_described(user, model, folder):
    found = user.client.get("/api/model").json()
    assert [one["name"] for one in found["tracks"]] == list(model.tracks)
    assert found["genome"] == "genome.fa"
    table = user.answer("predict", "chr1:1-9", "table")
    assert "model.safetensors" in table
    assert "genome.fa" in table
    for text in (user.client.get("/api/model").text, table, user.error("predict", "chr9:1-2")):
        assert str(folder.parent) not in text
    for task, example in (("predict", "region"), ("variants", "variant")):
        assert user.answer(task, found["examples"][example])["total"] == 1


def test_an_ensemble_has_means_and_deviations(folder, model, tmp_path):
    other = tmp_path / "other.safetensors"
    changed = danq.load(folder / "model.safetensors")
    with torch.no_grad():
        changed.module.head.output.bias += 0.5
    save_model(other, changed.module, changed.spec)
    models = [model, danq.load(other, device="cpu", precision="fp32", threads=1)]
    app = make_app(models, folder / "genome.fa", warm=True)
    with TestClient(app, base_url=BASE) as client:
        user = User(client)
        found = user.answer("predict", "ACGT" * 10)
        expected = danq.predict(models, "ACGT" * 10)
        assert np.float32(found["data"]).tolist() == expected.values.tolist()
        assert found["columns"] == list(expected.columns)
        found = user.answer("variants", user.client.get("/api/model").json()["examples"]["variant"])
        column = found["scores"]["ref"][2]
        assert found["columns"][column] == f"{TRACKS[2]}_ref"
        found = user.answer("mutate", "ACGTACGT", "map")
        expected = danq.mutate(models, "ACGTACGT")
        assert np.float32(found["effects"]).tolist() == expected.values[:, :, 0].tolist()
        assert len(found["strongest"]) == len(TRACKS)
