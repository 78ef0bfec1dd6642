from __future__ import annotations

import pytest

from danq.errors import InputError
from danq.files.json_file import read_json


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"a": 1,\n "b": [1, 2',
            r"line 2: is damaged JSON \(Expecting ',' delimiter\), not a list",
        ),
        ('{"a": 1,\r\n\r\n b: 2}\n', r"line 3: is damaged JSON \(Expecting property name"),
        ("no JSON\n", "a.json: is a text file, not a list"),
        ("[" * 100_000, "a.json: has too many nested lists, unlike a list"),
    ],
)
def test_what_is_wrong_with_a_json_file_is_described(tmp_path, text, message):
    path = tmp_path / "a.json"
    path.write_text(text, newline="")
    with pytest.raises(InputError, match=message) as caught:
        read_json(path, "a list", remedy="Write a list")
    assert caught.value.remedy == "Write a list"


def test_a_json_file_may_have_a_byte_order_mark(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('\ufeff{"a": [1]}\r\n', newline="")
    assert read_json(path, "a list", remedy="Write a list") == {"a": [1]}
