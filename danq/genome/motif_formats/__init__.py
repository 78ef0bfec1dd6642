"""Readers of motif files, one module per family of formats.

- `danq.genome.motif_formats.motif_text` holds the lines of a file, checks them, gives matrices to
  Biopython, and collects notices;
- `danq.genome.motif_formats.meme` reads MEME's formats;
- `danq.genome.motif_formats.header_blocks` reads blocks of rows below a name: JASPAR, HOMER,
  HOCOMOCO, Cluster-Buster, ENCODE, UniPROBE;
- `danq.genome.motif_formats.column_tables` reads TRANSFAC and CIS-BP;
- `danq.genome.motif_formats.recognise` selects the reader, and names formats that have none.
"""

from __future__ import annotations
