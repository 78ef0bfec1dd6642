"""Opening and reading input files.

- `open_input` opens plain and gzip files, and refuses those of another format by name;
- `pipes` makes pipes readable more than once;
- `recognise` and `binary_input` recognise formats by their first bytes and lines;
- `text_tables` reads text and tables: encoding, line ends, comments, quotes;
- `data_frames` reads large tables, `hdf5_input`, `json_file` and `toml_file` those formats.

Readers of FASTA, VCF and BCF by position or in order, and of formats with libraries, open files in
their own modules; `tests/test_opening.py` lists them.
"""

from __future__ import annotations
