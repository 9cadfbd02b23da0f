"""Phones, lexicon and topologies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkknowledge.errors import DataError
from darkknowledge.hmm.phones import Lexicon, PhoneTable, read_lexicon
from darkknowledge.hmm.topology import silence_topology, speech_topology


@pytest.fixture
def lexicon(tmp_path):
    path = tmp_path / "lexicon.txt"
    path.write_text("A AH\nA EY\nCAT K AE T\n", encoding="utf-8")
    return path


def test_lexicon_keeps_alternatives_and_adds_unknown(lexicon):
    read = read_lexicon(lexicon)
    assert read["A"] == [("AH",), ("EY",)]
    assert read["<UNK>"] == [("SPN",)]
    assert read.pronunciations("DOG") == [("SPN",)]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("A AH\n\n", 2, "empty line"),
        ("A AH\nB\n", 2, "no pronunciation"),
        ("A AH\nB B\nA AH\n", 3, "repeats line 1"),
        ("A #0\n", 1, "reserved"),
        ("<eps> AH\n", 1, "reserved"),
        ("A AH_B\n", 1, "position"),
        ("A AH SIL\n", 1, "silence"),
    ],
)
def test_bad_lexicon_names_the_line(tmp_path, text, line, said):
    path = tmp_path / "lexicon.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=said) as caught:
        read_lexicon(path)
    assert f"{path}:{line}:" in str(caught.value)


def test_absent_and_empty_lexicon(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_lexicon(tmp_path / "none.txt")
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(DataError, match="no pronunciations"):
        read_lexicon(tmp_path / "empty.txt")


def test_phone_table_order_positions_and_round_trip(lexicon, tmp_path):
    table = PhoneTable.from_lexicon(lexicon)
    assert table.names[:7] == ["<eps>", "SIL", "SPN", "AE_B", "AE_I", "AE_E", "AE_S"]
    assert len(table) == 2 + 4 * 5
    names = [table.name(phone) for phone in table.positioned(("K", "AE", "T"))]
    assert names == ["K_B", "AE_I", "T_E"]
    assert [table.name(p) for p in table.positioned(("AH",))] == ["AH_S"]
    assert table.positioned(("SPN",)) == (table.id("SPN"),)
    assert table.base(table.id("AH_S")) == "AH" and table.position(table.id("SIL")) == ""
    table.write(tmp_path / "phones.txt")
    assert PhoneTable.read(tmp_path / "phones.txt") == table


def test_damaged_phone_table_is_refused(lexicon, tmp_path):
    table = PhoneTable.from_lexicon(lexicon)
    path = tmp_path / "phones.txt"
    table.write(path)
    lines = path.read_text().splitlines()
    lines[3], lines[4] = lines[4], lines[3]
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=f"{path}:4"):
        PhoneTable.read(path)


def test_unknown_phone():
    with pytest.raises(DataError, match="XX"):
        PhoneTable(["A"]).id("XX")


@given(st.lists(st.sampled_from(["P", "T", "K"]), min_size=1, max_size=6))
def test_positions_mark_begin_and_end(pronunciation):
    table = PhoneTable(["P", "T", "K"])
    phones = table.positioned(pronunciation)
    marks = "".join(table.position(phone) for phone in phones)
    inner = "I" * (len(phones) - 2)
    assert marks == ("S" if len(phones) == 1 else f"B{inner}E")
    assert [table.base(phone) for phone in phones] == pronunciation


@given(st.text(max_size=40))
def test_lexicon_parser_reads_or_refuses(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("lexicon") / "lexicon.txt"
    path.write_bytes(text.encode("utf-8", errors="ignore"))
    try:
        lexicon = read_lexicon(path)
    except DataError as error:
        assert str(path) in str(error)
    else:
        assert isinstance(lexicon, Lexicon) and len(lexicon) >= 1


@pytest.mark.parametrize("topology", [speech_topology(), silence_topology()])
def test_topology_probabilities_sum_to_one(topology):
    for state in topology:
        assert sum(probability for _, probability in state) == pytest.approx(1)


def test_silence_topology_is_kaldis():
    states = silence_topology()
    assert [target for target, _ in states[0]] == [0, 1, 2, 3]
    assert [target for target, _ in states[2]] == [1, 2, 3, 4]
    assert states[4] == [(4, 0.75), (5, 0.25)]
