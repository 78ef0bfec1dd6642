"""A report in headless Chromium; without it or without playwright, these tests are skipped."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from danq.report import ReportOptions, write_report
from tests.report_outputs import outputs

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, started once."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None or importlib.util.find_spec("playwright") is None:
        pytest.skip("needs the program chromium and the library playwright")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        # Containers run as root, where Chromium's sandbox does not start.
        started = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def report(tmp_path_factory) -> Path:
    """A page of a run and of one output of each kind."""
    made = outputs(tmp_path_factory)
    names = ("run", "evaluation", "variants.tsv", "mutations.h5", "predictions.tsv", "data.h5")
    options = ReportOptions(
        genome=made / "genome.fa",
        genes=made / "genes.gff3",
        observed=[made / "peaks" / "0.bed"],
        region="chr3:1-4000",
    )
    out = tmp_path_factory.mktemp("browser") / "report.html"
    return write_report([made / name for name in names], out, options).path


@pytest.fixture
def open_report(browser) -> Iterator[Callable[..., Any]]:
    """Open a page; errors of its script, and requests, fail the test."""
    problems: list[str] = []
    contexts = []

    def open_page(report: Path, width: int = 1000, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(5_000)
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: problems.append(f"dialog {dialog.message}"))
        page.on(
            "request",
            lambda request: (
                request.url.startswith(("data:", "file:")) or problems.append(request.url)
            ),
        )
        page.goto(report.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def opened(open_report, report) -> Callable[..., Any]:
    """Open the page of small outputs."""
    return partial(open_report, report)
