from __future__ import annotations

import pytest

from danq_cli.main import root
from danq_cli.option_names import option_names, with_options


@pytest.mark.parametrize(
    ("args", "text", "shown"),
    [
        (["predict", "m"], "allow overwriting (overwrite).", "allow overwriting (--overwrite)."),
        (["data", "build"], "set drop_leaked; skip_contigs", "set --drop-leaked; --skip-contigs"),
        (["variants"], "set check_assembly to False", "set --no-assembly-check"),
        (["variants"], "Set ref_mismatch to swap", "Set --ref-mismatch to swap"),
        (["train"], "a map (chrom_map) of names", "a map (--chrom-map) of names"),
        (["predict"], "set drop_leaked (other_name)", "set drop_leaked (other_name)"),
        (["predict"], "the overwrite of (this)", "the overwrite of (this)"),
        (["data", "info"], "Make one with danq.build_dataset", "Make one with 'danq data build'"),
        (["variants"], "chrom_map.tsv, line 2: bad", "chrom_map.tsv, line 2: bad"),
        (["variants"], "chrom_map, line 2: bad", "chrom_map, line 2: bad"),
        (["variants"], "a/chrom_map: no track 'chrom_map'", "a/chrom_map: no track 'chrom_map'"),
        (["variants"], "see my-chrom_map. Set chrom_map.", "see my-chrom_map. Set --chrom-map."),
        (
            ["vision", "train"],
            "no (skip_damaged) 'x'. The settings are: batch_size, skip_damaged",
            "no (--skip-damaged) 'x'. The settings are: batch_size, skip_damaged",
        ),
        (["nonsense"], "chrom_map", "chrom_map"),
        ([], "file chr1_random (x)", "file chr1_random (x)"),
    ],
)
def test_names_of_parameters_become_options(args, text, shown):
    assert with_options(text, option_names(root, args)) == shown
