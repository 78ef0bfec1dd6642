"""What a reader does with a report: sort, search, zoom, read values, print, use the keyboard."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest

AXE = Path(__file__).with_name("axe.min.js")
METRICS = "xpath=//div[contains(@class,'table')][h3='Metrics of each track']"


def cells(table, column: int) -> list[str]:
    rows = table.locator("tbody tr:not([hidden])")
    return rows.locator(f":scope > :nth-child({column})").all_inner_texts()


def numbers(page, table, name: str) -> list[float]:
    titles = [text.split(" ↕")[0].strip() for text in table.locator("thead th").all_inner_texts()]
    return [float(text) for text in cells(table, titles.index(name) + 1)]


@pytest.mark.parametrize(("width", "scheme"), [(400, "light"), (1000, "dark"), (1600, "light")])
def test_axe_finds_no_violation(opened, width, scheme):
    page = opened(width, color_scheme=scheme, bypass_csp=True)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert found["passes"]
    assert [
        (one["impact"], one["id"], one["nodes"][0]["html"]) for one in found["violations"]
    ] == []
    # Nothing but tables and wide plots is wider than the window, and these scroll by themselves.
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [400, 1000])
def test_words_of_column_headers_are_whole(opened, width):
    lines = opened(width).evaluate(
        """() => [...document.querySelectorAll("thead button")].map(one => {
          const height = parseFloat(getComputedStyle(one).lineHeight);
          return [one.innerText, Math.round(one.getBoundingClientRect().height / height)];
        })"""
    )
    assert any(text.startswith("Strand") for text, _ in lines)
    # A line each for a word or a part after a hyphen, and one for the mark of the order.
    assert [one for one in lines if one[1] > len(one[0].replace("-", " ").split()) + 1] == []


def test_a_table_is_sorted_by_its_headers_and_searched(opened):
    page = opened()
    table = page.locator(METRICS).first
    aupr = table.get_by_role("columnheader", name="AUPR", exact=True)
    assert aupr.get_attribute("aria-sort") == "descending"
    values = numbers(page, table, "AUPR")
    assert values == sorted(values, reverse=True)
    aupr.get_by_role("button").click()
    assert aupr.get_attribute("aria-sort") == "ascending"
    assert numbers(page, table, "AUPR") == sorted(values)
    track = table.get_by_role("columnheader", name="Track")
    track.get_by_role("button").press("Enter")
    assert track.get_attribute("aria-sort") == "ascending"
    assert aupr.get_attribute("aria-sort") is None
    names = cells(table, 1)
    assert names == page.evaluate("names => names.toSorted((a, b) => a.localeCompare(b))", names)
    search = table.get_by_role("searchbox")
    search.fill("reb1")
    assert cells(table, 1) == ["Reb1"]
    assert table.get_by_role("status").inner_text() == "1 of 4 rows"
    search.fill("nothing")
    assert cells(table, 1) == []
    search.fill("")
    assert len(cells(table, 1)) == 4
    assert table.get_by_role("status").inner_text() == "4 rows"


def test_terms_are_explained_on_hover_and_focus(opened):
    page = opened()
    tip = page.locator("#tip")
    term = page.locator(".term", has_text="epoch").first
    assert tip.is_hidden()
    term.hover()
    assert tip.inner_text() == "One pass of the training over all training windows."
    page.mouse.move(0, 0)
    assert tip.is_hidden()
    term.focus()
    assert tip.is_visible()
    page.keyboard.press("Escape")
    assert tip.is_hidden()
    page.locator(METRICS).first.get_by_role("button", name="Base rate").focus()
    assert tip.inner_text() == "Fraction of windows that are positive for a track."


def figure(page, title: str):
    return page.locator("figure", has=page.locator("h3", has_text=title)).first


def test_values_of_a_chart_are_read_by_pointer_and_keys(opened):
    page = opened()
    plot = figure(page, "Loss by epoch")
    readout, chart = plot.locator(".readout"), plot.locator(".chart")
    point = plot.locator(".mark path").first
    point.hover()
    assert re.fullmatch(r"training loss: Epoch 1, Loss .* [\d.]+", readout.inner_text())
    chart.focus()
    page.keyboard.press("ArrowRight")
    assert readout.inner_text().startswith("training loss: Epoch 2,")
    page.keyboard.press("ArrowDown")
    assert readout.inner_text().startswith("validation loss: Epoch 2,")
    page.keyboard.press("ArrowLeft")
    assert readout.inner_text().startswith("validation loss: Epoch 1,")
    assert plot.locator(".cursor").get_attribute("visibility") == "visible"


def test_a_map_zooms_and_tells_the_effects(opened):
    page = opened()
    plot = figure(page, "chr3:101-160, track")
    readout = plot.locator(".readout")
    inner = plot.locator("svg.moving").first
    whole = inner.get_attribute("viewBox")
    ticks = plot.locator(".positions text")
    before = ticks.all_text_contents()
    plot.get_by_role("button", name="Zoom in").click()
    assert readout.inner_text() == "chr3:116-145"
    assert inner.get_attribute("viewBox") != whole
    assert ticks.all_text_contents() != before
    plot.get_by_role("button", name="Right").click()
    assert readout.inner_text() == "chr3:124-153"
    plot.get_by_role("button", name="Whole region").click()
    assert readout.inner_text() == "chr3:101-160"
    assert inner.get_attribute("viewBox") == whole
    assert [float(one) for one in ticks.all_text_contents()] == [float(one) for one in before]
    plot.locator(".chart").focus()
    page.keyboard.press("ArrowRight")
    first = readout.inner_text()
    assert re.fullmatch(r"chr3:132 [ACGT] to A: (effect -?[\d.e-]+ \(.*\)|reference base)", first)
    page.keyboard.press("ArrowDown")
    assert re.match(r"chr3:132 [ACGT] to C: ", readout.inner_text())
    page.keyboard.press("+")
    assert readout.inner_text().startswith("chr3:")
    # The numbers behind the link are those that the readout shows.
    link = plot.get_by_role("link", name="Numbers of this plot (TSV)").get_attribute("href")
    rows = base64.b64decode(link.partition("base64,")[2]).decode().splitlines()
    own = [row.split("\t") for row in rows if row.split("\t")[1] == "132"]
    assert len(own) == 3
    match = re.search(r"chr3:132 (\w) to (\w): effect (\S+)", first)
    if match:
        value = next(float(row[4]) for row in own if row[3] == match[2])
        assert abs(value - float(match[3])) <= 0.0006


def test_a_strip_zooms_and_keeps_its_genes(opened):
    page = opened()
    plot = figure(page, "Browser strip of chr3:1-4,000")
    readout = plot.locator(".readout")
    names = plot.locator(".gene-name")
    assert names.all_text_contents() == ["<b>gene<1 →", "← GEN2"]
    at = float(names.first.get_attribute("x"))
    plot.get_by_role("button", name="Zoom in").click()
    assert readout.inner_text() == "chr3:1,001-3,000"
    assert float(names.first.get_attribute("x")) != at
    plot.get_by_role("button", name="Zoom in").click()
    plot.get_by_role("button", name="Zoom in").click()
    assert names.first.get_attribute("visibility") == "hidden"
    plot.locator("svg").first.hover()
    assert re.match(r"chr3:[\d,]+: .*predicted probability\) 0?\.?\d+", readout.inner_text())
    assert "observed peaks" in readout.inner_text()


def test_keys_reach_everything_in_the_order_of_the_page(opened):
    page = opened()
    page.keyboard.press("Tab")
    skip = page.evaluate("document.activeElement.textContent")
    assert skip == "Skip to the first section"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main"
    seen = page.evaluate(
        """() => {
          const some = "a[href], button, input, summary, [tabindex='0']";
          return [...document.querySelectorAll(some)].filter((one) => one.tabIndex === 0).length;
        }"""
    )
    positions = []
    for _ in range(30):
        page.keyboard.press("Tab")
        positions.append(
            page.evaluate(
                """() => {
                  const one = document.activeElement, all = [...document.querySelectorAll("*")];
                  const style = getComputedStyle(one);
                  return [all.indexOf(one), style.outlineStyle, parseFloat(style.outlineWidth)];
                }"""
            )
        )
    places = [one[0] for one in positions]
    assert places == sorted(places)
    assert len(set(places)) == 30 <= seen
    assert all(style != "none" and width >= 2 for _, style, width in positions)


def test_a_printed_page_has_everything_but_controls(opened, tmp_path):
    page = opened(width=720)  # that of A4 with its margins
    page.emulate_media(media="print", color_scheme="dark")
    wide = page.evaluate(
        """() => [...document.querySelectorAll("table, svg, p, dl")]
          .filter((one) => one.getBoundingClientRect().right > 720 && !one.closest("svg svg"))
          .map((one) => one.parentElement.parentElement.textContent.slice(0, 60))"""
    )
    assert wide == []
    for hidden in ("nav", ".tools", ".numbers", ".readout", ".skip"):
        assert page.locator(hidden).first.is_hidden()
    box = page.locator(METRICS).first.locator(".scroll")
    assert box.evaluate("one => getComputedStyle(one).overflowY") == "visible"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("details").first.get_attribute("open") is None
    data = page.pdf(path=str(tmp_path / "a.pdf"), format="A4")
    assert data.startswith(b"%PDF")
    assert page.locator("details").first.get_attribute("open") is not None


def test_the_page_is_read_without_its_script(browser, report):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator("figure svg path.line").first.is_visible()
    assert page.locator(METRICS).first.locator("tbody tr").count() == 4
    context.close()
