"""Readers of motif files, one module per family of formats.

- `danq.genome.motif_formats.motif_text` holds the lines of a file, its errors and notices;
- `danq.genome.motif_formats.meme` reads MEME's formats;
- `danq.genome.motif_formats.header_blocks` reads matrices below a line ``>NAME``: JASPAR, HOMER,
  HOCOMOCO, Cluster-Buster, ENCODE;
- `danq.genome.motif_formats.transfac` reads TRANSFAC records;
- `danq.genome.motif_formats.column_tables` reads CIS-BP and UniPROBE;
- `danq.genome.motif_formats.recognise` selects the reader, and names formats that have none.
"""

from __future__ import annotations
