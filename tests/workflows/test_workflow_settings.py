"""Settings of the workflow: valid ones, and what is refused before the first job."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
import yaml

from danq.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "data" / "workflows" / "config.yaml"
DOCUMENTATION = ROOT / "docs" / "cluster.md"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the example names, and some more; they are never opened."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo" / "tracks").mkdir(parents=True)
    (tmp_path / "vcf").mkdir()
    names = "demo/genome.fa demo/tracks/A.bed demo/tracks/.hidden demo/variants.vcf data.h5 x.bed "
    for name in (names + "vcf/one.vcf vcf/two.vcf.gz vcf/two.vcf.gz.tbi vcf/three.bcf").split():
        (tmp_path / name).write_text("")
    return tmp_path


def example(**changes: Any) -> dict[str, Any]:
    """The settings of the example with some sections replaced, or left out where None."""
    settings = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8")) | changes
    return {name: value for name, value in settings.items() if value is not None}


def refused(workflow_settings: ModuleType, **changes: Any) -> str:
    with pytest.raises(InputError) as caught:
        workflow_settings.read_settings(example(**changes))
    return str(caught.value)


@pytest.mark.usefixtures("files")
def test_the_example_is_valid_and_shows_every_setting(workflow_settings):
    settings = workflow_settings.read_settings(example())
    text = EXAMPLE.read_text(encoding="utf-8")
    for section in (workflow_settings.Settings, *workflow_settings.SECTIONS.values()):
        for name in section.model_fields:
            assert re.search(rf"^ *(# *)?{name}:|`{name}`|[{{ ]{name}: ", text, re.MULTILINE), name
    # A user who leaves the section out has the same limits.
    assert settings.resources == workflow_settings.StepResources()
    assert settings.samples() == {"variants": "demo/variants.vcf"}


def test_documented_defaults_are_those_of_the_settings(workflow_settings):
    text = DOCUMENTATION.read_text(encoding="utf-8")
    section = text.partition("\n## On a cluster, with Snakemake\n")[2].partition("\n## ")[0]
    table = section.partition("| setting | default |")[2].partition("\n\n")[0]
    documented = dict(re.findall(r"^\| (.+?) \| (.+?) \|$", table, re.MULTILINE))
    fields = {
        section: {name: field.default for name, field in kind.model_fields.items()}
        for section, kind in workflow_settings.SECTIONS.items()
    }
    predict, variants = fields["predict"], fields["variants"]
    assert predict["shards"] == variants["shards"]
    expected = {
        "`out`": f"`{workflow_settings.Settings.model_fields['out'].default}`",
        "`predict.shards`, `variants.shards`": str(predict["shards"]),
        "`predict.format`": f"`{predict['format']}`",
        "`variants.format`": f"`{variants['format']}`",
    }
    for step, limits in fields["resources"].items():
        cores = f"{limits.threads} core" + "s" * (limits.threads != 1)
        expected[f"`resources.{step}`"] = (
            f"{cores}, {limits.mem_mb} MB, {limits.runtime} min, {limits.gpu} GPUs"
        )
    assert documented == expected


@pytest.mark.usefixtures("files")
def test_sections_become_arguments(workflow_settings):
    settings = workflow_settings.read_settings(
        example(
            dataset={
                "signal": ["demo/tracks", "x.bed"],
                "options": {
                    "exclude": ["x.bed", "demo/tracks/A.bed"],
                    "window": 500,
                    "oriented": False,
                    "drop-leaked": True,
                    "library-size": False,
                    "max-n": 0.1,
                },
            },
            train={"folds": 5, "options": {"lr": "1e-3", "hold-out": "chr1,chr2", "seed": 0}},
            variants={"folder": "vcf", "options": {"track": ["A", "a b"]}},
        )
    )
    assert " ".join(settings.source_arguments()) == (
        "--genome demo/genome.fa --signal demo/tracks --signal x.bed"
    )
    assert settings.source_files() == ["demo/genome.fa", "demo/tracks/A.bed", "x.bed"]
    assert " ".join(settings.arguments("dataset")) == (
        "--exclude x.bed --exclude demo/tracks/A.bed --window 500 --both-strands --drop-leaked "
        "--max-n 0.1"
    )
    assert settings.option_files("dataset") == ["x.bed", "demo/tracks/A.bed"]
    assert " ".join(settings.arguments("train")) == "--lr 1e-3 --hold-out chr1,chr2 --seed 0"
    assert settings.arguments("variants") == ["--track", "A", "--track", "a b"]
    assert settings.samples() == {
        "one": "vcf/one.vcf",
        "three": "vcf/three.bcf",
        "two": "vcf/two.vcf.gz",
    }


@pytest.mark.usefixtures("files")
def test_options_of_the_arguments_are_those_of_the_commands(workflow_settings):
    for section, command in workflow_settings.COMMANDS.items():
        names = {name for option in command.params for name in option.opts}
        # Options that the workflow sets exist, or Snakemake's jobs would fail.
        assert {f"--{name}" for name in workflow_settings.OWN[section]} <= names
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.nargs == 1


@pytest.mark.usefixtures("files")
def test_a_table_of_sequences_and_a_dataset_need_no_genome(workflow_settings):
    none = {"genome": None, "predict": None, "variants": None}
    settings = workflow_settings.read_settings(example(dataset={"sequences": "x.bed"}, **none))
    assert settings.source_arguments() == ["--sequences", "x.bed"]
    assert settings.source_files() == ["x.bed"]
    settings = workflow_settings.read_settings(
        example(dataset={"file": "data.h5"}, train={}, evaluate={}, **none)
    )
    assert settings.samples() == {}
    message = refused(workflow_settings, genome=None)
    assert "genome is not set; dataset and predict and variants need it" in message


@pytest.mark.usefixtures("files")
def test_a_step_keeps_the_limits_that_its_settings_do_not_name(workflow_settings):
    settings = workflow_settings.read_settings(example(resources={"train": {"gpu": 1}}))
    default = workflow_settings.StepResources()
    assert settings.resources.train == default.train.model_copy(update={"gpu": 1})
    assert settings.resources.merge == default.merge
    assert settings.resources.train.limits() == {"mem_mb": 16000, "runtime": 1440, "gpu": 1}


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "section": ({"foo": 1}, "foo: there is no setting of this name"),
    "key": ({"train": {"fold": 3}}, "train.fold: there is no setting of this name"),
    "step": ({"resources": {"training": {}}}, "resources.training: there is no setting"),
    "limit": ({"resources": {"train": {"cpus": 1}}}, "resources.train.cpus: there is no setting"),
    "text": ({"predict": {"tile": "many"}}, "predict.tile: Input should be a valid integer"),
    "shards": ({"predict": {"tile": 5, "shards": 0}}, "predict.shards: Input should be greater"),
    "folds": ({"train": {"folds": 2}}, "train.folds: Input should be greater than or equal to 3"),
    "format": (
        {"predict": {"tile": 5, "format": "csv"}},
        "predict.format: Input should be 'bigwig'",
    ),
    "list": ({"train": [1]}, "train: Input should be a valid dictionary"),
    "empty": ({"genome": ""}, "genome: String should have at least 1 character"),
    "no source": ({"dataset": {}}, "give tracks, signal, sequences or file; now: none"),
    "sources": (
        {"dataset": {"tracks": "demo/tracks", "file": "data.h5"}},
        "give tracks, signal, sequences or file; now: tracks, file",
    ),
    "options of a dataset": (
        {"dataset": {"file": "data.h5", "options": {"window": 5}}},
        "options are for a dataset to build",
    ),
    "evaluation of folds": ({"evaluate": {}}, "evaluate is for one model"),
    "option": (
        {"train": {"options": {"epoch": 3}}},
        "train.options.epoch: the command does not have this option. The options are batch-size",
    ),
    "option of the workflow": (
        {"train": {"options": {"threads": 3}}},
        "train.options.threads: the workflow does not pass on this option",
    ),
    "option of another section": (
        {"train": {"options": {"window": 500}}},
        "train.options.window: the workflow does not pass on this option",
    ),
    "value": (
        {"train": {"options": {"epochs": "x"}}},
        "train.options.epochs: 'x' is not a valid integer range. Correct",
    ),
    "range": (
        {"train": {"options": {"epochs": -1}}},
        "train.options.epochs: -1 is not in the range",
    ),
    "choice": ({"train": {"options": {"temporal": "rnn"}}}, "'rnn' is not one of 'lstm'"),
    "null": (
        {"train": {"options": {"lr": None}}},
        "train.options.lr: None is not text or a number",
    ),
    "true": (
        {"train": {"options": {"lr": True}}},
        "train.options.lr: True is not text or a number",
    ),
    "two values": ({"train": {"options": {"lr": [1, 2]}}}, "train.options.lr: 1, 2 are 2 values"),
    "no values": ({"train": {"options": {"lr": []}}}, "are 0 values"),
    "flag": (
        {"dataset": {"tracks": "x.bed", "options": {"drop-leaked": "yes"}}},
        "dataset.options.drop-leaked: 'yes' is not true or false",
    ),
    "genome": ({"genome": "no.fa"}, "genome: there is no file or folder 'no.fa' in"),
    "tracks": ({"dataset": {"tracks": ["x.bed", "no.bed"]}}, "dataset.tracks: there is no"),
    "file": ({"dataset": {"file": "no.h5"}}, "dataset.file: there is no file or folder 'no.h5'"),
    "folder": ({"variants": {"folder": "demo/genome.fa"}}, "variants.folder: there is no folder"),
    "input of an option": (
        {"variants": {"folder": "vcf", "options": {"calibrate": "no.h5"}}},
        "variants.options.calibrate: File 'no.h5' does not exist. Correct",
    ),
    "brace": ({"out": "results/{a}"}, "out: 'results/{a}' has a brace or a line break"),
    "no variants": (
        {"variants": {"folder": "demo/tracks"}},
        "variants.folder: no file ends in .vcf",
    ),
}


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("case", CASES)
def test_wrong_settings_are_refused_by_name(workflow_settings, case):
    changes, message = CASES[case]
    assert message in refused(workflow_settings, **changes)


@pytest.mark.usefixtures("files")
def test_no_settings_are_refused(workflow_settings):
    with pytest.raises(InputError, match="there are no settings. Name a file"):
        workflow_settings.read_settings({})


@pytest.mark.parametrize(
    "name", ["a{b}.vcf", "-a.vcf", "a\tb.vcf", ".vcf.gz", "a'b.bcf", "a$b.vcf"]
)
def test_names_that_do_not_suit_outputs_are_refused(workflow_settings, files, name):
    (files / "vcf" / name).write_text("")
    settings = {"variants": {"folder": "vcf"}}
    if name.startswith("."):
        assert len(workflow_settings.read_settings(example(**settings)).samples()) == 3
        return
    assert "has other characters than letters, digits" in refused(workflow_settings, **settings)


def test_two_files_of_one_name_are_refused(workflow_settings, files):
    (files / "vcf" / "one.vcf.gz").write_text("")
    (files / "vcf" / "Å 1.b-c.vcf").write_text("")
    message = refused(workflow_settings, variants={"folder": "vcf"})
    assert "vcf/one.vcf.gz: has the name 'one', as vcf/one.vcf has" in message
    (files / "vcf" / "one.vcf.gz").unlink()
    settings = workflow_settings.read_settings(example(variants={"folder": "vcf"}))
    assert "Å 1.b-c" in settings.samples()
