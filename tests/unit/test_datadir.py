"""Data directories survive being written and read; what is wrong is named."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkknowledge.datadir import DataDirectory, read_data_directory, read_table
from darkknowledge.errors import DataError

FILES = ("wav.scp", "text", "utt2spk", "utt2cond", "utt2dur")


@pytest.fixture
def folder(tmp_path):
    DataDirectory(
        wav={"b-2": "b2.wav", "a-1": "a1.wav"},
        text={"b-2": ["TWO", "WORDS"], "a-1": ["ONE"]},
        speaker={"b-2": "b", "a-1": "a"},
        condition={"b-2": "02", "a-1": "01"},
        duration={"b-2": 2.5, "a-1": 1.25},
    ).write(tmp_path)
    return tmp_path


def test_ratios_are_kept_where_they_are_known(folder):
    data = read_data_directory(folder)
    assert data.snr == {} and not (folder / "utt2snr").exists()
    replace(data, snr={"b-2": 7.26}).write(folder)
    assert read_data_directory(folder).snr == {"b-2": 7.3}
    (folder / "utt2snr").write_text("b-2 loud\n")
    with pytest.raises(DataError, match="b-2 has 'loud'; expected dB"):
        read_data_directory(folder)
    data.write(folder)
    assert not (folder / "utt2snr").exists()


def test_written_and_read_again(folder):
    data = read_data_directory(folder)
    assert list(data.wav) == ["a-1", "b-2"]
    assert data.text["b-2"] == ["TWO", "WORDS"]
    assert data.speakers == {"a": ["a-1"], "b": ["b-2"]}
    assert data.duration == {"a-1": 1.25, "b-2": 2.5}
    assert (folder / "text").read_text() == "a-1 ONE\nb-2 TWO WORDS\n"


@pytest.mark.parametrize("name", FILES)
def test_an_utterance_that_one_file_lacks_is_named(folder, name):
    lines = (folder / name).read_text().splitlines()
    (folder / name).write_text(lines[0] + "\n")
    with pytest.raises(DataError, match="b-2"):
        read_data_directory(folder)


@pytest.mark.parametrize("name", FILES)
def test_an_absent_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(DataError, match=name):
        read_data_directory(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_line_without_a_value_is_named(folder, name):
    lines = (folder / name).read_text().splitlines()
    (folder / name).write_text(f"{lines[0]}\nb-2\n")
    with pytest.raises(DataError, match="b-2"):
        read_data_directory(folder)


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "inf"])
def test_a_duration_that_is_none_is_named(folder, value):
    (folder / "utt2dur").write_text(f"a-1 1.0\nb-2 {value}\n")
    with pytest.raises(DataError, match=f"b-2 has '{value}'"):
        read_data_directory(folder)


def test_tables_take_tabs_and_refuse_repeats(tmp_path):
    path = tmp_path / "table"
    path.write_text("a\t1 2\nb   3\n")
    assert read_table(path) == {"a": "1 2", "b": "3"}
    path.write_text("a 1\nb 2\na 3\n")
    with pytest.raises(DataError, match=":3: a appears twice"):
        read_table(path)
    path.write_text("a 1\n\nb 2\n")
    with pytest.raises(DataError, match=":2: empty line"):
        read_table(path)
    path.write_bytes(b"a \xff\n")
    with pytest.raises(DataError, match="UTF-8"):
        read_table(path)
    path.write_text("")
    with pytest.raises(DataError, match="no utterances"):
        read_table(path)


word = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=1)


@given(st.dictionaries(word, st.lists(word, min_size=1).map(" ".join), min_size=1))
def test_any_table_of_words_is_read_as_written(tmp_path_factory, table):
    path = tmp_path_factory.mktemp("table") / "table"
    path.write_text("".join(f"{key} {value}\n" for key, value in table.items()))
    assert read_table(path) == table
