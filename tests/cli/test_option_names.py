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
        (["nonsense"], "chrom_map", "chrom_map"),
        ([], "file chr1_random (x)", "file chr1_random (x)"),
    ],
)
def test_names_of_parameters_become_options(args, text, shown):
    assert with_options(text, option_names(root, args)) == shown
