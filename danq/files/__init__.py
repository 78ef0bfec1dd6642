"""Opening and reading input files: the only modules of danq that open a user's text file.

- `danq.files.open_input` opens plain and gzip files, and names those of another format;
- `danq.files.pipes` makes pipes readable more than once;
- `danq.files.recognise` recognises file formats by their first bytes and lines;
- `danq.files.text_tables` reads tables of text: encoding, line ends, comments, quotes.
"""

from __future__ import annotations
