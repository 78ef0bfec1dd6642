"""From files to a model and its predictions, with the commands that a user types."""

from __future__ import annotations

import csv
import json
import shutil
import wave
from pathlib import Path

import numpy as np
import pytest

from danq_cli.main import run

pillow = pytest.importorskip("PIL.Image")
av = pytest.importorskip("av")

COLOURS = {"Bär": (200, 30, 30), "猫": (30, 30, 200)}
QUICK = "--set channels=8,16 --set batch_size=8 --device cpu --threads 1 --epochs"
SMALL = f"{QUICK} 3"
ROTATED = 0x0112


def image(colour, rng, mode="RGB"):
    """An image of odd size, of one colour and noise."""
    height, width = rng.integers(11, 30, 2)
    pixels = rng.integers(0, 50, (height, width, 3)) + np.array(colour)
    found = pillow.fromarray(pixels.clip(0, 255).astype(np.uint8))
    return found.convert(mode)


def write_clip(path, colour, rng, frames):
    """A video whose brightness grows."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        for number in range(frames):
            pixels = rng.integers(0, 30, (24, 32, 3)) + np.array(colour) * (number + 3) // 9
            frame = av.VideoFrame.from_ndarray(pixels.clip(0, 255).astype(np.uint8), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Folders of images and videos, and tables about them."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    tables = {"captions": [], "questions": [], "frames": [], "sizes": []}
    for name, colour in COLOURS.items():
        (folder / "images" / name).mkdir(parents=True)
        (folder / "videos" / name).mkdir(parents=True)
        for number in range(14):
            kind, mode = (("png", "RGBA"), ("jpg", "RGB"), ("gif", "RGB"))[number % 3]
            path = folder / "images" / name / f"{number}é.{kind}"
            made = image(colour, rng, mode)
            if kind == "jpg":
                exif = pillow.Exif()
                exif[ROTATED] = 6
                made.save(path, exif=exif)
            else:
                made.save(path)
            plain = str(path.relative_to(folder))
            red = name == "Bär"
            text = "a red bear" if red else "ein blauer Kater"
            tables["captions"].append({"path": plain, "caption": text})
            for asked, answer in (
                ("red", "yes" if red else "no"),
                ("blue", "no" if red else "yes"),
            ):
                tables["questions"].append(
                    {"path": plain, "question": f"Is it {asked}?", "answer": answer}
                )
            tables["sizes"].append({"path": plain, "value.red": colour[0], "value.blue": colour[2]})
        for number in range(7):
            path = folder / "videos" / name / f"{number}.mp4"
            write_clip(path, colour, rng, 4 + number % 3)
            plain = str(path.relative_to(folder))
            classes = ["dark"] * 2 + ["light"] * (2 + number % 3)
            tables["frames"].append({"path": plain, "frames": ";".join(classes)})
    (folder / "images" / "empty").mkdir()
    for name, rows in tables.items():
        (folder / f"{name}.json").write_text(json.dumps(rows, ensure_ascii=False))
    for name in ("sizes", "frames"):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, tables[name][0])
            writer.writeheader()
            writer.writerows(tables[name])
    return folder


def called(line):
    return run(line.split())


def table(path):
    text = Path(path).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines(), delimiter="\t"))


@pytest.fixture
def here(files, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f").symlink_to(files)
    return tmp_path


def test_images(here, capsys):
    assert called(f"vision train --images f/images --size 16 --out run {QUICK} 12") == 0
    err = capsys.readouterr().err
    assert "task image-classes" in err
    assert "empty" in err
    assert called("vision predict run f/images --out found.tsv --device cpu") == 0
    rows = table("found.tsv")
    assert len(rows) == 28
    assert {row["class"] for row in rows} == set(COLOURS)
    right = np.mean([row["class"] == Path(row["file"]).parent.name for row in rows])
    assert right > 0.9
    assert all(float(row[f"probabilities.{row['class']}"]) >= 0.5 for row in rows)
    capsys.readouterr()
    assert called("vision evaluate run --out report --device cpu") == 0
    printed, notices = capsys.readouterr()
    assert str(here) not in notices
    assert "split 'test': 2 examples" in printed
    assert "balanced_accuracy\t1.0000" in printed
    assert Path("report/confusion.tsv").read_text().splitlines()[0].split("\t")[1:] == [*COLOURS]
    assert called("vision evaluate run f/images --device cpu") == 0
    captured = capsys.readouterr()
    assert "28 examples" in captured.out
    assert (
        "f/images: of 28 examples, the model had the same 24 in the training split and 2 in the "
        "validation split"
    ) in captured.err
    test = json.loads(Path("run/training_files.json").read_text())
    assert [len(test[split]) for split in ("train", "valid")] == [24, 2]
    Path("alone").mkdir()
    shutil.copy("run/model.safetensors", "alone")
    assert called("vision evaluate alone/model.safetensors f/images --device cpu") == 0
    assert "is not known, because training_files.json" in capsys.readouterr().err
    other = image((200, 30, 30), np.random.default_rng(9))
    for name in COLOURS:
        Path("other", name).mkdir(parents=True)
        other.save(Path("other", name, "1.png"))
    assert called("vision evaluate run other --device cpu") == 0
    assert "training split" not in capsys.readouterr().err
    assert called("report run --out page.html") == 2
    assert "run: is a vision model, which a report does not show" in capsys.readouterr().err
    assert called("report alone/model.safetensors --out page.html") == 2
    assert "is a vision model" in capsys.readouterr().err
    assert called("summary run") == 0
    assert "Bär" in capsys.readouterr().out
    assert called("export run --to onnx --out run.onnx") == 0


def test_damaged_files_stop_or_are_left_out(here, files, capsys):
    shutil.copytree(files / "images", here / "images")
    damaged = here / "images" / "猫" / "zz.png"
    damaged.write_bytes(next((here / "images" / "猫").glob("*.png")).read_bytes()[:60])
    train = f"vision train --images images --size 16 --out run {SMALL}"
    assert called(train) == 2
    err = capsys.readouterr().err
    assert "1 of 29 images cannot be read" in err
    assert "zz.png" in err
    assert not (here / "run").exists()
    assert called(f"{train} --skip-damaged") == 0
    assert "1 of 29 images cannot be read and are left out" in capsys.readouterr().err
    assert called("vision predict run images --out found.json --device cpu") == 2
    assert not (here / "found.json").exists()
    assert "zz.png" in capsys.readouterr().err
    assert called("vision predict run images --out found.json --skip-damaged --device cpu") == 0
    assert len(json.loads((here / "found.json").read_text())) == 28


def test_values_of_images(here, capsys):
    assert called(f"vision train --images f/sizes.csv --size 16 --out run {QUICK} 12") == 0
    assert called("vision predict run f/sizes.json --out found.tsv --device cpu") == 0
    rows = table("found.tsv")
    red = [float(row["value.red"]) for row in rows if "Bär" in row["file"]]
    blue = [float(row["value.red"]) for row in rows if "猫" in row["file"]]
    assert np.mean(red) > np.mean(blue) + 50


def test_videos(here, capsys):
    assert called(f"vision train --videos f/videos --out run --set frames=4 {SMALL}") == 0
    assert "task video-classes" in capsys.readouterr().err
    assert called("vision predict run f/videos/Bär f/videos/猫/1.mp4 --device cpu") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 8
    assert all(line.startswith("f/videos/") for line in lines)


def test_classes_of_frames(here, capsys):
    assert called(f"vision train --videos f/frames.csv --size 16 --out run {SMALL}") == 0
    assert called("vision predict run f/videos --out found.tsv --device cpu") == 0
    rows = table("found.tsv")
    assert {row["class"] for row in rows} <= {"dark", "light"}
    # Clips have 4, 5 or 6 frames, and the model reads 5 of them.
    assert len(rows) == 2 * (3 * 4 + 2 * 5 + 2 * 5)
    frames = [
        [int(row["frame"]) for row in rows if row["file"].endswith(f"猫/{n}.mp4")] for n in (0, 2)
    ]
    assert frames == [[0, 1, 2, 3], [0, 1, 3, 4, 5]]


def test_captions(here, capsys):
    assert called(f"vision train --captions f/captions.json --size 16 --out run {QUICK} 12") == 0
    assert called("vision predict run f/images --out found.json --device cpu") == 0
    rows = json.loads(Path("found.json").read_text())
    texts = {row["caption"] for row in rows if "Bär" in row["file"]}
    assert "a red bear" in texts
    assert all(row["score"] < 0 for row in rows)


def test_questions(here, capsys):
    train = f"vision train --questions f/questions.json --size 16 --out run {SMALL}"
    assert called(f"{train} --model multiply") == 0
    assert called("vision predict run f/questions.json --out found.tsv --device cpu") == 0
    rows = table("found.tsv")
    assert len(rows) == 56
    assert {row["answer"] for row in rows} <= {"yes", "no"}
    assert {row["question"] for row in rows} == {"is it red", "is it blue"}
    capsys.readouterr()
    path = rows[0]["file"]
    assert run(["vision", "predict", "run", path, "--text", "Is it red?", "--device", "cpu"]) == 0
    assert "yes" in capsys.readouterr().out
    assert called(f"vision predict run {path} --device cpu") == 2
    assert "no question is given" in capsys.readouterr().err


def test_videos_with_sound(here, files, capsys):
    rng = np.random.default_rng(0)
    for name, pitch in (("low", 300), ("high", 2000)):
        Path("videos", name).mkdir(parents=True)
        for number, path in enumerate(sorted((files / "videos").rglob("*.mp4"))[:10]):
            shutil.copy(path, Path("videos", name, f"{number}.mp4"))
            time = np.arange(3000 + 100 * number) / 8000
            level = 9000 * np.sin(2 * np.pi * pitch * time) + rng.normal(0, 300, len(time))
            with wave.open(f"videos/{name}/{number}.wav", "wb") as sound:
                sound.setparams((1, 2, 8000, 0, "NONE", ""))
                sound.writeframes(level.astype("<i2").tobytes())
    train = f"vision train --audio videos --size 16 --out run {SMALL} --lr 0.01"
    assert called(train) == 0
    assert "task video-sound-classes" in capsys.readouterr().err
    assert called("vision predict run videos --out found.tsv --device cpu") == 0
    rows = table("found.tsv")
    assert len(rows) == 20
    assert np.mean([row["class"] == Path(row["file"]).parent.name for row in rows]) > 0.9


def test_forecasts_are_written_as_a_video(here, capsys):
    from danq.vision.clip_writer import write_clip

    clip = np.linspace(0, 255, 6).astype(np.uint8)[:, None, None, None]
    clip = np.broadcast_to(clip, (6, 1, 9, 11))
    write_clip("forecast.mp4", clip)
    with av.open("forecast.mp4") as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert np.shape(frames) == (6, 36, 44, 3)
    means = [frame.mean() for frame in frames]
    assert np.abs(np.array(means) - np.linspace(0, 255, 6)).max() < 8


def test_texts(here, capsys):
    texts = [(f"{word} is {kind}", kind) for kind in ("good", "schön") for word in "abcdefghij"]
    rows = [f'"{text}",{kind}' for text, kind in texts]
    Path("texts.csv").write_text("\n".join(["text,class", *rows]), encoding="utf-8")
    train = "vision train --sequences texts.csv --out run --epochs 12 --set hidden=8"
    assert called(f"{train} --set batch_size=8 --set lr=0.01 --device cpu --threads 1") == 0
    assert "task text-classes" in capsys.readouterr().err
    Path("new.txt").write_text("z is good\ny is schön\n", encoding="utf-8")
    assert called("vision predict run new.txt --out found.tsv --device cpu") == 0
    assert [(row["text"], row["class"]) for row in table("found.tsv")] == [
        ("z is good", "good"),
        ("y is schön", "schön"),
    ]


def test_tags_of_words(here, capsys):
    texts = [f"from\tO\n{'ab'[n % 2]}\tCITY\nw{n}\tO\n" for n in range(24)]
    Path("words.conll").write_text("\n".join(texts))
    train = "vision train --sequences words.conll --out run --epochs 12 --set hidden=8"
    assert called(f"{train} --set batch_size=8 --set lr=0.01 --device cpu --threads 1") == 0
    Path("new.txt").write_text("From B Zürich\n", encoding="utf-8")
    assert called("vision predict run new.txt --out found.json --device cpu") == 0
    rows = json.loads(Path("found.json").read_text(encoding="utf-8"))
    found = [(row["word"], row["class"]) for row in rows]
    assert found == [("From", "O"), ("B", "CITY"), ("Zürich", "O")]


def test_series(here, capsys):
    rng = np.random.default_rng(0)
    for name, level in (("low", 0), ("high", 5)):
        Path("series", name).mkdir(parents=True)
        for number in range(10):
            steps = rng.normal(level, 1, (5 + number, 2))
            lines = ["x,y", *(f"{a:.3f},{b:.3f}" for a, b in steps)]
            Path("series", name, f"{number}.csv").write_text("\n".join(lines))
    train = "vision train --sequences series --out run --epochs 8 --set hidden=8"
    assert called(f"{train} --set batch_size=8 --set lr=0.01 --device cpu --threads 1") == 0
    assert "task series-classes" in capsys.readouterr().err
    assert called("vision predict run series/high --out found.tsv --device cpu") == 0
    assert {row["class"] for row in table("found.tsv")} == {"high"}


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("vision train --out run", "Name a TASK"),
        ("vision train direction --images f/images --out run", "decides which task"),
        ("vision train --images f/images --videos f/videos --out run", "different kinds"),
        ("vision train direction --size 8 --out run", "for your own files"),
        ("vision train --images f/images --set epohs=3 --out run", "Did you mean 'epochs'"),
        ("vision train --images f/images --set epochs --out run", "write name=value"),
        ("vision train --images f/images --size 8x --out run", "is not a size"),
        (
            "vision train --images f/images --set epochs=1 --set epochs=2 --out run",
            "is given twice",
        ),
        ("vision train --images f/images --epochs 1 --set epochs=2 --out run", "is given twice"),
        ("vision train --images f/images --set channels=a --out run", "a list of whole numbers"),
        ("vision train --images f/images --set lr=x --out run", "lr"),
        ("vision train --images f/images --model x --out run", "has no model 'x'"),
        ("vision train --images f/images --set monitor=mae --out run", "no metric 'mae'"),
        ("vision train --images f/nothing --out run", "nothing"),
        ("vision train image-classes --out run", "is for files of your own"),
    ],
)
def test_invalid_command_lines_are_refused(line, error, here, capsys):
    assert called(line) == 2
    assert error in capsys.readouterr().err
    assert not (here / "run").exists()
