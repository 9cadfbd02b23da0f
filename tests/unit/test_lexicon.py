"""A lexicon made elsewhere: read whole, or refused with every line that is wrong."""

import pytest

from darkknowledge.errors import DataError
from darkknowledge.hmm.phones import Lexicon
from darkknowledge.hmm.phones import read_lexicon as read_whole
from darkknowledge.lexicon import copy_lexicon, read_lexicon


@pytest.fixture
def lexicon(tmp_path):
    def write(text):
        path = tmp_path / "lexicon.txt"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_words_and_pronunciations_keep_their_order(lexicon):
    path = lexicon("!SIL SIL\n<UNK> SPN\nTHE DH IY0\nA AH0\nTHE  DH\tAH0\n")
    found = read_lexicon(path)
    assert list(found) == ["!SIL", "<UNK>", "THE", "A"]
    assert found["THE"] == [("DH", "IY0"), ("DH", "AH0")]
    assert dict(Lexicon(found)) == dict(read_whole(path))


def test_it_is_copied_as_it_is(lexicon, tmp_path):
    path = lexicon("B  B\nA AH\tZ\n")
    copy_lexicon(path, tmp_path / "lang")
    assert (tmp_path / "lang" / "lexicon.txt").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("", "empty line"),
        ("CAT", "CAT has no pronunciation"),
        ("CAT K #0 T", "#0 is reserved"),
        ("<eps> K", "<eps> is reserved"),
        ("<s> K", "remove the line"),
        ("CAT K_B AE_I T_E", "phone K_B ends like a position mark"),
        ("CAT K SIL T", "SIL inside the pronunciation of CAT"),
        ("A AH X SPN", "SPN inside the pronunciation of A"),
        ("A AH", "repeats line 1"),
    ],
)
def test_a_line_that_cannot_be_is_named(lexicon, line, text):
    path = lexicon(f"A AH\n{line}\nB B\n")
    with pytest.raises(DataError) as caught:
        read_lexicon(path)
    assert f"{path}:2: " in str(caught.value) and text in str(caught.value)


def test_all_lines_that_are_wrong_are_named_at_once(lexicon):
    path = lexicon("A AH\n" + "".join(f"W{n}\n" for n in range(33)))
    with pytest.raises(DataError, match="and 13 more lines") as caught:
        read_lexicon(path)
    assert str(caught.value).count("has no pronunciation") == 20


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_a_lexicon_of_nothing(lexicon, text):
    with pytest.raises(DataError, match="no pronunciations"):
        read_lexicon(lexicon(text))


def test_probabilities_are_refused_by_name(lexicon):
    path = lexicon("A 1.0 AH\nA 0.25 EY\nB 1 B IY\n")
    with pytest.raises(DataError, match=r"lexiconp\.txt.*awk"):
        read_lexicon(path)
    assert read_lexicon(lexicon("A 1\nB B\n")) == {"A": [("1",)], "B": [("B",)]}


def test_a_file_that_is_not_there_or_not_text(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_lexicon(tmp_path / "none")
    (tmp_path / "latin").write_bytes("CAF\u00c9 K\n".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        read_lexicon(tmp_path / "latin")
