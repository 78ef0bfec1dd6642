"""Compare the motifs of a yeast model's attributions with consensus sequences of known factors.

    for track in Reb1 Abf1 Rap1; do
        danq attribute MODEL $track.bed --genome sacCer3.fa --track $track --out $track.h5 \\
            --method input-x-gradient
    done
    python -m benchmarks.studies.attribution_motifs Reb1.h5 Abf1.h5 Rap1.h5

Each file has the attributions of one track, which is named after a factor. The targets include
shuffled motifs and, if DANQ_SHARED_DATA holds them, human motifs, as in
`benchmarks.studies.motifs`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.harness.arguments import make_parser
from benchmarks.studies.motif_recovery import recovery_of
from benchmarks.studies.motifs import YEAST_FACTORS, consensus_motif, human_motifs
from danq.interpretation import find_attribution_motifs


def rows(file: Path) -> Iterator[dict[str, Any]]:
    """One row for each factor that a motif matches, and for that of the track."""
    start = time.perf_counter()
    report = find_attribution_motifs(file)
    seconds = time.perf_counter() - start
    known = [consensus_motif(*item) for item in YEAST_FACTORS.items()]
    motifs = [one.motif for one in report.motifs]
    table = recovery_of(motifs, known, background=human_motifs())
    track = report.provenance["track"]
    own = report.table.select("motif", "seqlets", "hits")
    found = table.filter(pl.col("found") | (pl.col("motif") == track)).sort("q_value")
    for row in found.join(own, left_on="filter", right_on="motif").iter_rows(named=True):
        yield {
            "track": track,
            "sequences": report.provenance["sequences"],
            "seqlets of the track": report.provenance["positive_seqlets"],
            "motifs": len(motifs),
            "factor": row["motif"],
            "motif": row["filter"],
            "consensus": row["consensus"],
            "q": f"{row['q_value']:.1e}",
            "seqlets": row["seqlets"],
            "hits": row["hits"],
            "seconds": round(seconds),
        }


def main() -> None:
    """Print the table of the factors that motifs of attributions match."""
    parser = make_parser(__doc__)
    parser.add_argument("files", type=Path, nargs="+", help="files of danq attribute")
    args = parser.parse_args()
    pl.Config.set_tbl_rows(-1).set_tbl_hide_dataframe_shape().set_tbl_hide_column_data_types()
    pl.Config.set_tbl_width_chars(160).set_tbl_cols(-1)
    print(pl.DataFrame([row for file in args.files for row in rows(file)]))


if __name__ == "__main__":
    main()
