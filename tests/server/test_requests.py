"""Wrong requests and inputs are refused with a message, never with a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

import danq
from danq.errors import InputError
from danq.inference.sources import source_from_options
from danq.inference.sources.find_source import is_fasta
from tests.server.conftest import CONTIGS, TRACKS
from tests.test_wrong_files import WRONG

IRREGULAR = {"folder", "empty"}


def is_regular(kind: str, folder: Path) -> bool:
    path = folder / "probe"
    content = WRONG[kind]
    if kind in IRREGULAR:
        return False
    if isinstance(content, bytes):
        path.write_bytes(content)
        return True
    content(path)
    return path.is_file() and not path.is_symlink()


@pytest.mark.parametrize("kind", WRONG)
def test_hostile_files_have_the_words_of_the_command_line(kind, user, folder, model, tmp_path):
    try:
        regular = is_regular(kind, tmp_path)
    except OSError:
        regular = False
    if not regular:
        assert user.post("predict", b"").status_code == 422
        return
    probe = tmp_path / "probe"
    path = probe.rename(tmp_path / "upload")
    try:
        body = path.read_bytes()
    except OSError:
        body = b"\0"
        path = tmp_path / "other"
        path.write_bytes(body)
        path = path.rename(tmp_path / "upload2")
    genome = folder / "genome.fa"

    def predict():
        source = source_from_options(path, None if is_fasta(path) else genome)
        return danq.predict(model, source)

    for task, call in (
        ("predict", predict),
        ("variants", lambda: danq.score_variants(model, str(path), genome)),
    ):
        try:
            call()
        except InputError as error:
            expected = str(error).replace(f"{tmp_path}/", "").replace(f"{folder.parent}/", "")
        else:
            expected = None
        if expected is None:
            assert user.state(task, body)["state"] in ("done", "failed")
            continue
        found = user.error(task, body)
        assert "unexpected" not in found
        assert str(user.client.app.state.folder) not in found
        if "array" not in found:
            assert found == expected


@pytest.mark.parametrize(
    ("task", "text", "message"),
    [
        ("predict", "  \n ", "the input is empty"),
        ("predict", "chr9:1-5", "no contig 'chr9'"),
        ("predict", "chr1:5", "has a start and no end"),
        ("predict", "chr1:1-601", "is not inside chr1, which has 600 bases"),
        ("predict", "chr1:9-3", "below its start"),
        ("predict", "ACGTX", "no contig 'ACGTX'"),
        ("predict", "chr1:5 A>C", "is a variant"),
        ("predict", ">a\nAC!\n", "upload, line 2, record 'a': '!' at position 3"),
        ("predict", "<script>alert(1)</script>", "no contig '<script>alert(1)</script>'"),
        ("mutate", "chr1:0-5", "below 1"),
        ("variants", "chr1:5", "'chr1:5' is not a variant"),
        ("variants", "ACGT", "'ACGT' is not a variant"),
        ("variants", "chr1:g.5", "is not read"),
        ("variants", "chr1:g.590_610del", "is not inside chr1"),
        ("variants", "chr9:g.5del", "no contig 'chr9'"),
        ("variants", "chr1:g.5_9insA", "not an insertion between two bases"),
        ("variants", "chr1:g.5_6ins", "not an insertion between two bases"),
        ("variants", "chr1:g.5_6delA", "names 1 bases at 2 positions"),
        ("variants", "chr1:g.5delins", "no bases to insert"),
        ("variants", "chr1:g.5_6A>C", "two positions"),
    ],
)
def test_wrong_text(user, task, text, message):
    assert message in user.error(task, text)


def test_alleles_without_scores_are_listed_with_the_reason(user):
    found = user.answer("variants", "chr1:9999 A>C\nchr1:3 N>A\nchr9:5 A>C\nchr1:7 . *")
    assert found["total"] == 0
    assert [one["reason"] for one in found["rejected"]]


@pytest.mark.parametrize(
    ("query", "kind", "status"),
    [
        ("", "text/plain", 400),
        ("task=predict&task=mutate", "text/plain", 400),
        ("task=predict&file=/etc/passwd", "text/plain", 400),
        ("task=../../etc", "text/plain", 422),
        ("task=predict&effect=logit", "text/plain", 422),
        ("task=mutate&effect=x", "text/plain", 422),
        ("task=mutate&effect=log2fc", "text/plain", 422),
        ("task=predict", "application/x-www-form-urlencoded", 415),
        ("task=predict", "multipart/form-data; boundary=x", 415),
        ("task=predict", "application/json", 415),
        ("task=predict", "", 415),
    ],
)
def test_wrong_requests(client, query, kind, status):
    response = client.post(f"/api/jobs?{query}", content=b"ACGT", headers={"Content-Type": kind})
    assert response.status_code == status
    assert response.json()["error"]


def test_text_that_is_no_utf8(client):
    response = client.post(
        "/api/jobs?task=predict", content=b"\xff\xfe", headers={"Content-Type": "text/plain"}
    )
    assert (response.status_code, "UTF-8" in response.json()["error"]) == (422, True)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/jobs/none", 404),
        ("GET", "/api/jobs/none/rows", 404),
        ("DELETE", "/api/jobs/none", 404),
        ("GET", "/api/jobs", 405),
        ("PUT", "/api/model", 405),
        ("GET", "/page.py", 404),
        ("GET", "/../app.py", 404),
        ("GET", "/..%2fapp.py", 404),
        ("GET", "/static/page.js", 404),
        ("GET", "/etc/passwd", 404),
    ],
)
def test_addresses_that_do_not_exist(client, method, path, status):
    assert client.request(method, path).status_code == status


def test_answers_of_another_task(user):
    job = user.state("predict", "ACGT")["id"]
    assert user.client.get(f"/api/jobs/{job}/map").status_code == 409
    for wrong in ("-1", "31", "x", "inf", "nan", ""):
        assert user.client.get(f"/api/jobs/{job}?wait={wrong}").status_code == 400


def test_names_of_tracks_and_contigs_stay_text(user):
    found = user.client.get("/api/model")
    assert found.headers["Content-Type"] == "application/json"
    assert found.json()["tracks"][1]["name"] == TRACKS[1]
    table = user.state("predict", f"{CONTIGS[1]}:5-44")["id"]
    response = user.client.get(f"/api/jobs/{table}/table")
    assert response.headers["Content-Disposition"].startswith("attachment")
    assert response.headers["Content-Type"].startswith("text/tab-separated-values")


def test_the_page_has_no_markup_of_users_and_no_other_addresses(client):
    import re

    for path in (
        "/",
        "/api",
        "/page.js",
        "/drawings.js",
        "/api.js",
        "/page.css",
        "/report.css",
        "/icon.svg",
    ):
        text = client.get(path).text
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)
        assert not re.search(r"<script(?! type=\"module\" src=)", text)
        assert not re.search(r"\son\w+=|style=", text)
        links = set(re.findall(r"https?://[^\s\"'`]+", text))
        assert links <= {"http://www.w3.org/2000/svg"}
