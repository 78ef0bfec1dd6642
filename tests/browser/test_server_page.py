"""What a user does with the page of `danq serve`, with each form of input."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import uvicorn

import danq
from danq.models import architecture, save_model, untrained
from danq.progress import stage
from danq.server import ServerSettings
from danq.server.app import make_app
from tests.server.test_amounts import save_amounts

AXE = Path(__file__).with_name("axe.min.js")
TRACKS = ("Reb1", "<img src=x onerror=alert(1)>", "Abf1")
CONTIG = "<svg/onload=alert(2)>"
TOKEN = "a-token-of-some-length"
MODEL = "model.safetensors"
SMALL = {"filters": 8, "width": 5, "pool": 3, "hidden": 4, "dense": (6,)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("page")
    rng = np.random.default_rng(5)
    for_names = {name: "".join(rng.choice(list("ACGT"), 900)) for name in ("chr1", CONTIG)}
    (made / "genome.fa").write_text("".join(f">{k}\n{v}\n" for k, v in for_names.items()))
    model = untrained("danq-small", architecture("danq-small", **SMALL), TRACKS, 40, 10)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weights in model.module.parameters():
            weights.normal_(0, 0.3, generator=generator)
    groups = {"groups": ("yeast", "<b>other</b>", "yeast")}
    save_model(made / MODEL, model.module, model.spec.model_copy(update=groups))
    save_amounts(made / "amounts.safetensors")
    return made


class Served:
    """A server in a thread of this process."""

    def __init__(self, folder: Path, model_file: str = MODEL, **settings: Any) -> None:
        model = danq.load(folder / model_file, device="cpu", threads=1)
        app = make_app(model, folder / "genome.fa", ServerSettings(**settings), warm=False)
        self.jobs = app.state.jobs
        config = uvicorn.Config(app, port=0, log_level="critical", ws="none")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.address = f"http://127.0.0.1:{port}/"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()


@pytest.fixture(scope="module")
def served(folder) -> Iterator[Served]:
    server = Served(folder)
    yield server
    server.stop()


@pytest.fixture
def visit(browser) -> Iterator[Callable[..., Any]]:
    """Open the page; errors of its script, dialogs and requests elsewhere fail the test."""
    problems: list[str] = []
    contexts = []

    def note(text: str) -> None:
        # The browser itself reports a status such as 422 of a request.
        if not re.search(r"the server responded with a status of 4\d\d", text):
            problems.append(text)

    def open_page(address: str, width: int = 1000, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: note(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: problems.append(f"dialog {dialog.message}"))
        page.on(
            "request",
            lambda one: one.url.startswith((address, "blob:")) or problems.append(one.url),
        )
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


def ask(page: Any, text: str, task: str | None = None) -> None:
    page.locator("#text").fill(text)
    if task is not None:
        page.locator(f"input[value={task}]").check()
    page.get_by_role("button", name="Run").click()


def names(page: Any) -> list[str]:
    return page.locator("#tracks th").all_inner_texts()


@pytest.mark.parametrize(("width", "scheme"), [(400, "light"), (1000, "dark"), (1600, "light")])
def test_axe_finds_no_violation(served, visit, width, scheme):
    page = visit(served.address, width, color_scheme=scheme, bypass_csp=True)
    for text, task, part in (
        ("chr1:101-140", "predict", "#tracks tr"),
        ("chr1:20 N>A\nchr9:5 A>C", "variants", "#rejected li"),
        ("chr1:101-140", "mutate", "#chart svg"),
        ("chr9:1-5", "predict", "#error"),
    ):
        ask(page, text, task)
        page.locator(part).first.wait_for()
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert found["passes"]
        assert [
            (one["impact"], one["id"], one["nodes"][0]["html"]) for one in found["violations"]
        ] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.goto(f"{served.address}api")
    page.locator("section").first.wait_for()
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert [(one["impact"], one["id"]) for one in found["violations"]] == []


def test_predictions_are_sorted_searched_and_filtered(served, visit, folder):
    page = visit(served.address)
    ask(page, "chr1:101-140\nchr1:201-240")
    page.locator("#tracks tr").first.wait_for()
    model = danq.load(folder / "model.safetensors", device="cpu")
    regions = danq.Regions(["chr1:101-140", "chr1:201-240"], folder / "genome.fa")
    expected = danq.predict(model, regions).values
    order = [TRACKS[i] for i in np.argsort(-expected[0])]
    assert names(page) == order
    values = [float(text) for text in page.locator("#tracks td.number").all_inner_texts()]
    assert values == pytest.approx(sorted(expected[0].tolist(), reverse=True), rel=1e-3)
    page.locator("#row").select_option(index=1)
    assert names(page) == [TRACKS[i] for i in np.argsort(-expected[1])]
    page.get_by_role("button", name="Track").press("Enter")
    header = page.get_by_role("columnheader", name="Track")
    assert header.get_attribute("aria-sort") == "ascending"
    assert names(page) == page.evaluate(
        "names => names.toSorted((a, b) => a.localeCompare(b, 'en'))", list(TRACKS)
    )
    page.locator("#group").select_option(label="yeast")
    assert sorted(names(page)) == ["Abf1", "Reb1"]
    page.get_by_role("searchbox").fill("ABF")
    assert names(page) == ["Abf1"]
    assert page.locator("#count").inner_text() == "1 of 3 tracks"


def test_what_was_scored_of_a_long_region_is_shown(served, visit):
    page = visit(served.address)
    ask(page, "chr1:101-140")
    page.locator("#tracks tr").first.wait_for()
    assert page.locator("#notices").is_hidden()
    assert page.locator("#meaning").inner_text() == (
        "probability: probability of a peak in the middle 10 bases of a window of 40 bases."
    )
    for text, task, message in (
        ("chr1:101-300", "predict", "regions longer than the window of 40 bases: 1; their values"),
        ("ACGTA" * 20, "predict", "records longer than the window of 40 bases: 1, tiled every 10"),
        ("chr1:101-300", "mutate", "each base is scored in the window centred on its 10-base"),
    ):
        ask(page, text, task)
        page.locator("#notices li", has_text=message).first.wait_for()
        assert page.locator("#answer").is_visible()


def test_amounts_have_units(folder, visit):
    server = Served(folder, "amounts.safetensors")
    try:
        page = visit(server.address, 400)
        ask(page, "chr1:101-140")
        page.locator("#tracks tr").first.wait_for()
        cells = dict(
            zip(names(page), page.locator("#tracks td.number").all_inner_texts(), strict=True)
        )
        assert re.fullmatch(r"[\d.]+", cells["Reb1"])
        assert re.fullmatch(r"-?[\d.]+ log1p\(0\.5 x reads\)", cells["RNA"])
        assert cells["ATAC"].endswith(" RPM")
        # Without groups, there is no column and no filter of groups, and bars are in view.
        assert page.locator("#group-label").is_hidden()
        assert page.get_by_role("columnheader", name="Group").count() == 0
        page.locator("#example-variant").click()
        page.get_by_role("button", name="Run").click()
        page.get_by_role("heading", name="Effects of variants").wait_for()
        for score, unit, meaning in (
            ("log2fc", "", "log2 fold change"),
            ("ref", " RPM", "of amounts: amount with the reference allele"),
            ("diff", " RPM", "of amounts: change in the amount"),
        ):
            page.locator("#score").select_option(label=score)
            page.locator("#search").fill("atac")
            (text,) = page.locator("#tracks td.number").all_inner_texts()
            assert re.fullmatch(r"-?[\d.e-]+" + unit, text)
            assert meaning in page.locator("#meaning").inner_text()
        ask(page, "chr1:101-140", "mutate")
        page.locator("#chart svg").wait_for()
        page.locator("#map-track").select_option(value="2")
        page.get_by_text("mutant minus reference (amounts) (RPM)").wait_for()
    finally:
        server.stop()


def test_the_task_follows_the_input(served, visit):
    page = visit(served.address)
    chosen = page.locator("input[name=task]:checked")
    page.locator("#text").fill("chr1:20 A>C")
    assert chosen.get_attribute("value") == "variants"
    page.locator("#text").fill(">name\nACGT")
    assert chosen.get_attribute("value") == "predict"
    page.locator("#example-variant").click()
    assert chosen.get_attribute("value") == "variants"
    page.keyboard.press("Control+Enter")
    page.locator("#tracks tr").first.wait_for()
    assert page.locator("#title").inner_text() == "Effects of variants"


def test_effects_of_variants_and_rejected_alleles(served, visit):
    page = visit(served.address)
    ask(page, f"{page.locator('#example-variant').inner_text()}\n{CONTIG}:5 N>A")
    page.locator("#rejected li").wait_for()
    assert page.locator("#rejected li").inner_text().startswith(f"{CONTIG}:5 N>A: ")
    before = page.locator("#tracks td.number").all_inner_texts()
    page.locator("#score").select_option(label="ref")
    after = [float(text) for text in page.locator("#tracks td.number").all_inner_texts()]
    assert list(map(float, before)) != after
    assert all(0 <= one <= 1 for one in after)
    assert page.locator("#value-title").inner_text() == "ref"


def test_the_map_zooms_and_is_read_with_keys_and_pointer(served, visit):
    page = visit(served.address)
    ask(page, "chr1:101-200", "mutate")
    chart, readout = page.locator("#chart"), page.locator("#readout")
    chart.locator("svg").wait_for()
    chart.focus()
    page.keyboard.press("+")
    assert readout.inner_text() == "chr1:126-175"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert re.fullmatch(r"chr1:151 [ACGT] to C: (effect \S+|reference base)", readout.inner_text())
    page.get_by_role("button", name="Left").click()
    page.get_by_role("button", name="Zoom in").click()
    page.get_by_role("button", name="All").click()
    assert readout.inner_text() == "chr1:101-200"
    box = chart.locator("svg").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.6)
    assert readout.inner_text().startswith("chr1:14")
    page.locator("#map-track").select_option(index=1)
    page.wait_for_function("document.querySelector('#chart svg').ariaLabel.length > 0")


@pytest.mark.parametrize("task", ["predict", "mutate"])
def test_downloads(served, visit, task):
    page = visit(served.address)
    ask(page, "chr1:101-140", task)
    page.locator("#answer").wait_for()
    starts = {"#svg": b"<svg", "#png": b"\x89PNG", "#tsv": b"# danq"}
    for button, start in starts.items():
        with page.expect_download() as download:
            page.locator(button).click()
        content = Path(download.value.path()).read_bytes()
        assert content.startswith(start)
        if button == "#svg":
            assert b"<img" not in content


def test_files_are_sent_and_wrong_ones_have_the_words_of_the_command_line(served, visit, tmp_path):
    page = visit(served.address)
    name = "<img src=x onerror=alert(3)>.bed"
    (tmp_path / name).write_text("chr1\t5\t9\nchr1\t7\tx\n")
    page.locator("#file").set_input_files(tmp_path / name)
    page.get_by_role("button", name="Run").click()
    page.locator("#error").wait_for()
    assert page.locator("#error").inner_text().startswith("upload, line 2: ")
    (tmp_path / "in.bed").write_text("chr1\t5\t9\tfirst\n")
    page.locator("#file").set_input_files(tmp_path / "in.bed")
    page.get_by_role("button", name="Run").click()
    page.locator("#tracks tr").first.wait_for()
    assert page.locator("#error").is_hidden()
    page.get_by_role("button", name="Remove the file").click()
    assert page.locator("#text").is_enabled()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the input is empty"),
        (CONTIG, ""),
        ("<script>alert(4)</script>", "no contig '<script>alert(4)</script>'"),
        (">a\nAC!\n", "upload, line 2, record 'a': '!'"),
    ],
)
def test_wrong_text_has_a_message_and_markup_stays_text(served, visit, text, message):
    page = visit(served.address)
    ask(page, text, "predict")
    if message:
        page.locator("#error").wait_for()
        assert message in page.locator("#error").inner_text()
    else:
        page.locator("#tracks tr").first.wait_for()
        assert CONTIG in page.locator("#row").inner_text()
    assert page.locator("main img, main svg[onload], main script").count() == 0


@pytest.fixture
def slow(monkeypatch) -> Iterator[threading.Event]:
    """Predictions that end when the test allows it."""
    allowed = threading.Event()
    real = danq.predict

    def predict(models, source):
        with stage("predicting", "rows", 4) as now:
            while not allowed.wait(0.01):
                now.reach(1)
        return real(models, source)

    monkeypatch.setattr("danq.server.predictor.predict", predict)
    yield allowed
    allowed.set()


def test_cancel_reload_and_two_users(served, visit, slow):
    first, second = visit(served.address), visit(served.address)
    ask(first, "chr1:101-140")
    first.get_by_text("running: 1 of 4").wait_for()
    ask(second, "chr1:201-240")
    second.get_by_text("waiting; 1 before this").wait_for()
    second.get_by_role("button", name="Cancel").click()
    second.get_by_text("cancelled").wait_for()
    first.reload()
    first.get_by_text("running: 1 of 4").wait_for()
    slow.set()
    first.locator("#tracks tr").first.wait_for()
    assert "chr1:101-140" in first.locator("#row").inner_text()
    ask(second, "chr1:301-340")
    second.locator("#tracks tr").first.wait_for()
    assert "chr1:301-340" in second.locator("#row").inner_text()
    first.get_by_role("button", name="Delete on the server").click()
    first.locator("#answer").wait_for(state="hidden")
    assert "#" not in first.url


def test_a_token_is_asked_for(folder, visit):
    server = Served(folder, token=TOKEN)
    try:
        page = visit(server.address)
        page.locator("#token").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        page.locator("#sign-in-error").wait_for()
        assert page.locator("#ask").is_hidden()
        page.locator("#token").fill(TOKEN)
        page.keyboard.press("Enter")
        page.locator("#ask").wait_for()
        ask(page, "chr1:101-140")
        page.locator("#tracks tr").first.wait_for()
    finally:
        server.stop()


def test_the_order_of_the_keyboard(served, visit):
    page = visit(served.address)
    page.locator("#ask").wait_for()
    found = []
    for _ in range(9):
        page.keyboard.press("Tab")
        found.append(page.evaluate("document.activeElement.id || document.activeElement.name"))
    assert found[1:7] == ["text", "example-region", "example-variant", "file", "task", "run"]
