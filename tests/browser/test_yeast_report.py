"""A report of real data: 64 tracks of yeast, with genes, variants of a strain, and maps."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path

import pytest

import danq
from danq.datasets import LabelOptions
from danq.report import ReportOptions, write_report
from danq.training import ModelSettings, RunSettings

AXE = Path(__file__).with_name("axe.min.js")
RECIPE = Path(__file__).resolve().parents[2] / "data/recipes/yeast"
BLACKLIST = "annotation/rossi2021/ChExMix_Peak_Filter_List_190612.bed.gz"
GENES = "annotation/rossi2021/Xu_2009_ORF-Ts_V64.gff3.gz"
TRACKS = 64
SMALL = {"filters": 32, "width": 15, "pool": 15, "hidden": 8, "dense": (32,)}
LARGE = ["II", "IV", "V", "VII", "IX", "X", "XI", "XII", "XIII", "XIV", "XV", "XVI", "M"]


def variants(path: Path, count: int) -> Iterator[str]:
    """The header of a VCF, and its first records of chrVIII."""
    with gzip.open(path, "rt") as lines:
        for line in lines:
            if not line.startswith("#"):
                break
            yield line
        yield from islice((line for line in lines if line.startswith("chrVIII\t")), count)


@pytest.fixture(scope="module")
def page(browser, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a small model of the small chromosomes, and of its outputs."""
    yeast = shared_data / "yeast"
    made = tmp_path_factory.mktemp("yeast-report")
    rows = [line.split("\t") for line in (yeast / "peaks/tracks.tsv").read_text().splitlines()]
    names = [row[0] for row in sorted(rows[1:], key=lambda row: -int(row[3]))[:TRACKS]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DANQ_CACHE", str(made / "cache"))
        genome = yeast / "genome/sacCer3.fa.gz"
        danq.build_dataset(
            made / "data.h5", genome, [yeast / f"peaks/w200/{name}.bed.gz" for name in names],
            window=500, valid="chrI", test="chrVIII",
            options=LabelOptions(
                skip_contigs=[f"chr{name}" for name in LARGE],
                exclude=yeast / BLACKLIST,
                chrom_map=RECIPE / "chrom_map.tsv",
            ),
        )  # fmt: skip
        danq.train(
            made / "data.h5",
            out=made / "run",
            model=ModelSettings("danq-small", **SMALL),
            recipe=danq.Recipe(epochs=2, batch_size=64, lr=0.01, initial_motifs="none"),
            run=RunSettings(seed=1, device="cpu", precision="fp32", threads=1),
        )
        model = danq.load(made / "run", device="cpu", threads=1)
        report = danq.evaluate(model, made / "data.h5", bootstrap=20, baseline=True)
        danq.write_evaluation(report, made / "evaluation")
        motifs = danq.find_motifs(model, made / "data.h5")
        danq.write_motifs(motifs, made / "run" / "motifs")
        danq.write_predictions(model, danq.Tiles(genome, 200, "chrVIII:1-40000"), made / "bigwig")
        (made / "strain.vcf").write_text("".join(variants(yeast / "variants/BYxRM.vcf.gz", 50)))
        danq.write_variant_scores(model, made / "strain.vcf", genome, made / "effects.tsv")
        site = danq.Regions("chrVIII:30001-30100", genome)
        danq.write_mutations(model, site, made / "map.h5")
        options = ReportOptions(genome=genome, genes=yeast / GENES, region="chrVIII:20001-35000")
        outputs = ("run", "evaluation", "effects.tsv", "map.h5", "bigwig", "data.h5")
        out = made / "report.html"
        return write_report([made / name for name in outputs], out, options).path


@pytest.mark.parametrize(("width", "scheme"), [(400, "light"), (1600, "dark")])
def test_the_page_is_whole_at_each_width(open_report, page, width, scheme):
    assert page.stat().st_size < 15_000_000
    shown = open_report(page, width, color_scheme=scheme, bypass_csp=True)
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    titles = shown.locator("h2").all_inner_texts()
    for start in ("Training", "Best and worst", "Evaluation", "Motifs", "Variant", "Mutations",
                  "Predictions", "Dataset"):  # fmt: skip
        assert any(title.startswith(start) for title in titles)
    shown.evaluate(AXE.read_text(encoding="utf-8"))
    found = shown.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert found["passes"]
    assert [
        (one["impact"], one["id"], one["nodes"][0]["html"]) for one in found["violations"]
    ] == []


def test_no_text_of_a_drawing_is_cut(open_report, page):
    shown = open_report(page)
    texts, cut = shown.evaluate(
        """() => {
          const texts = [...document.querySelectorAll(".chart svg text")]
            .filter((one) => getComputedStyle(one).visibility !== "hidden");
          const cut = texts.filter((one) => {
            const box = one.getBoundingClientRect();
            const all = one.closest(".chart > svg").getBoundingClientRect();
            return box.left < all.left - 1 || box.right > all.right + 1
              || box.top < all.top - 1 || box.bottom > all.bottom + 1;
          });
          return [texts.length, cut.map((one) => one.textContent)];
        }"""
    )
    assert texts > 100
    assert cut == []
    # The transcripts of the file are drawn as genes, with names that do not overlap.
    names = shown.locator(".gene-name")
    assert names.count() > 5
    boxes = sorted(
        (box["y"], box["x"], box["width"]) for box in (one.bounding_box() for one in names.all())
    )
    for (y, x, size), (next_y, next_x, _) in pairwise(boxes):
        assert y < next_y - 1 or x + size <= next_x


def test_tables_of_64_tracks_are_read_sorted_and_searched(open_report, page):
    shown = open_report(page)
    table = shown.locator("xpath=//div[contains(@class,'table')][h3='Metrics of each track']").first
    rows = table.locator("tbody tr")
    assert rows.count() == TRACKS
    heights = rows.evaluate_all("rows => rows.map((one) => one.getBoundingClientRect().height)")
    assert max(heights) < 1.5 * min(heights)
    assert table.locator("td", has_text=" to ").first.inner_text().count(".") == 2
    # Names stay in view when a wide table is scrolled.
    name = rows.first.locator("th")
    before = name.bounding_box()["x"]
    table.locator(".scroll").evaluate("one => one.scrollLeft = 300")
    assert name.bounding_box()["x"] == before
    table.get_by_role("columnheader", name="Track").get_by_role("button").click()
    names = rows.locator("th").all_inner_texts()
    natural = "names => names.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true }))"
    assert names == shown.evaluate(natural, names)
    assert names.index("Spt2") < names.index("Spt15")
    table.get_by_role("searchbox").fill("reb1")
    assert table.locator("tbody tr:not([hidden])").count() == 1
