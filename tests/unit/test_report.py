import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from darkknowledge.datadir import DataDirectory
from darkknowledge.errors import DataError
from darkknowledge.mistakes import worst_utterances
from darkknowledge.report import corpus_numbers, outline, read_captions, write_report
from darkknowledge.tables import table_rows

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect/></svg>'
VOID = {"meta", "link", "img", "br"}
CAPTIONS = read_captions((Path(__file__).parents[2] / "report").glob("*.rst"))
COSTS = pd.DataFrame(
    {
        "rule": ["train_network", "decode"],
        "jobs": [3, 2],
        "seconds": [3600.0, 1200.0],
        "longest": [2000.0, 700.4],
        "cpu_seconds": [5400.0, float("nan")],
        "memory": [1.5e9, 2e6],
        "gpu_seconds": [3600.0, float("nan")],
        "cpu_share": [0.75, float("nan")],
        "memory_share": [0.5, float("nan")],
        "time_share": [0.1, float("nan")],
    }
)


class Checker(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.sources, self.ids, self.links = [], [], [], []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids += [attrs["id"]] if "id" in attrs else []
        if tag == "a":
            self.links.append(attrs["href"])
        elif "href" in attrs or "src" in attrs:
            self.sources.append(attrs.get("href") or attrs.get("src"))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def sets():
    data = DataDirectory(
        wav={"a-1": "", "a-2": "", "b-1": ""},
        text={"a-1": ["ONE", "TWO"], "a-2": ["TWO"], "b-1": ["ONE"]},
        speaker={"a-1": "a", "a-2": "a", "b-1": "b"},
        condition={"a-1": "01", "a-2": "02", "b-1": "01"},
        duration={"a-1": 1800.0, "a-2": 1800.0, "b-1": 900.0},
        snr={"a-2": 7.25},
    )
    return {"train": data}


def page(tmp_path, sets, **changes):
    figure = tmp_path / "toy_data.svg"
    figure.write_bytes(SVG)
    rows = [{"run": run} for run in ("mono", "tri1")]
    rows += [{"run": run, "targets": "hard"} for run in ("a net", "lost")]
    errors = {"mono": 20, "tri1": 160, "a net": 19}
    results = [
        {"run": run, "score": {"total": {"errors": count, "words": 200}, "groups": {}}}
        | {"seed": 1, "summary": {"parameters": 900000, "tr_fa": 50.0, "cv_fa": 40.0}}
        for run, count in errors.items()
    ]
    for result in results[:2]:
        result["summary"] = None
    table = table_rows(rows, results)
    data = sets["train"]
    heard = {**data.text, "a-1": ["<TWO>"]}
    where = {"command": "snakemake", "host": "h&1", "versions": {"numpy": "2.0"}}
    options = {
        "study": {"name": "s<1>", "seeds": [1, 2], "runs": {"dnn": {"teacher": None}}},
        "tables": [("Table & 1", table)],
        "figures": [("Figure 1", figure)],
        "corpus": corpus_numbers(sets, {"ONE"}),
        "provenance": {"command": "snakemake <x>", "versions": {"torch": "2.11.0"}},
        "captions": CAPTIONS,
        "conditions": [pd.DataFrame([{"model": "mono", "01": 9.0, "02": float("nan")}])],
        "mistakes": [("mono", worst_utterances(data.text, heard, data.condition, 3)), ("lost", [])],
        "costs": COSTS,
        "devices": {"cpu": 3},
        "origins": (pd.DataFrame([{"Model": "mono", "Seed": "1", "Trained": "now"}]), [where]),
        "again": "snakemake results/s/score.json",
    } | changes
    write_report(tmp_path / "report.html", **options)
    return (tmp_path / "report.html").read_text()


def test_corpus_numbers_by_hand(sets):
    (row,) = corpus_numbers(sets, {"ONE"}).to_dict("records")
    assert row == {
        "set": "train",
        "utterances": 3,
        "hours": 1.25,
        "speakers": 2,
        "conditions": 2,
        "words": 4,
        "vocabulary": 2,
        "OOV %": 50.0,
        "noisy %": 33.3,
        "SNR dB": "7.2 to 7.2",
    }
    sets["train"].snr.clear()
    (row,) = corpus_numbers(sets, {"ONE"}).to_dict("records")
    assert row["noisy %"] is None and row["SNR dB"] is None


def test_page_is_whole_and_alone(tmp_path, sets):
    text = page(tmp_path, sets)
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    assert len(checker.ids) == len(set(checker.ids))
    assert [link[1:] for link in checker.links] == checker.ids
    assert all(source.startswith("data:") for source in checker.sources)
    assert "url(" not in text and "@import" not in text and "<script src" not in text
    (image,) = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', text)
    assert base64.b64decode(image) == SVG
    assert "s&lt;1&gt;" in text and "Table &amp; 1" in text and "snakemake &lt;x&gt;" in text
    assert "true posterior (colour)" in text
    assert "1 run, 2 seeds: 1.25 h train." in text
    assert "torch 2.11.0" in text and "10.00" in text
    assert "<TWO>" not in text and "&lt;TWO&gt;" in text and "h&amp;1" in text


def test_every_section_stands_in_the_menu(tmp_path, sets):
    text = page(tmp_path, sets)
    assert re.findall('<a href="#(.*?)">', text) == [
        "tables",
        "figures",
        "worst-utterances",
        "corpus",
        "cost",
        "configuration",
        "provenance",
    ]


def test_errors_are_marked_by_letter(tmp_path, sets):
    text = page(tmp_path, sets)
    assert "a-1, condition 01: 2 errors in 2 words, 100 % (1 S, 1 D, 0 I)" in text
    marked = re.findall('<span class="wrong">(.*?)</span>', text)
    assert [re.findall("<b>(.)</b>", word) for word in marked] in ([["S"], ["D"]], [["D"], ["S"]])
    assert "<i class=heard>***</i><b>D</b>" in text
    assert text.count('<p class="utterance">') == 1, "utterances without an error are left out"


def test_costs_in_hours_and_shares(tmp_path, sets):
    text = page(tmp_path, sets)
    rows = re.findall("<tr><td class=text>(train_network|decode)</td>(.*?)</tr>", text)
    cells = {rule: re.findall("<td.*?>(.*?)</td>", rest) for rule, rest in rows}
    assert cells["train_network"] == [
        "3", "1:00:00", "75.0", "0:33:20", "150", "75", "1500", "50", "10", "1:00:00"
    ]  # fmt: skip
    none = "–"
    assert cells["decode"] == [
        "2", "0:20:00", "25.0", "0:11:40", none, none, "2", none, none, "not recorded"
    ]  # fmt: skip
    assert "5 jobs, 1:20:00 (h:mm:ss) together" in text
    assert "Networks were trained: 3 on cpu." in text


def test_a_figure_without_a_caption_is_refused(tmp_path, sets):
    (tmp_path / "mine.svg").write_bytes(SVG)
    with pytest.raises(DataError, match=r"mine.svg: no caption; write report/mine.rst"):
        page(tmp_path, sets, figures=[("Mine", tmp_path / "mine.svg")])


def test_same_bytes_each_time(tmp_path, sets):
    assert page(tmp_path, sets) == page(tmp_path, sets)


def test_lost_figure_is_named(tmp_path, sets):
    with pytest.raises(DataError, match="lost.svg: no such figure"):
        page(tmp_path, sets, figures=[("F", tmp_path / "lost.svg")])
    with pytest.raises(DataError, match="expected .svg or .png"):
        page(tmp_path, sets, figures=[("F", tmp_path / "figure.pdf")])


def test_outline():
    value = {"a": {"b": [1, 2.5], "c": None, "d": {}}, "e": True}
    assert outline(value) == "a:\n  b: [1, 2.5]\n  c: null\n  d: {}\ne: true"


@pytest.mark.parametrize("conditions", [{"01": "A"}, {"street": None}, {"01": "A", "02": "B"}])
def test_the_caption_of_the_conditions_fits_them(tmp_path, sets, conditions):
    counts = {"errors": 1, "words": 10}
    groups = {group: counts for group in conditions.values() if group}
    score = {"total": counts, "groups": groups, "conditions": dict.fromkeys(conditions, counts)}
    table = table_rows([{"run": "mono"}], [{"run": "mono", "score": score}])
    figure = tmp_path / "conditions.svg"
    figure.write_bytes(SVG)
    text = page(tmp_path, sets, tables=[("T", table)], figures=[("Conditions", figure)])
    caption = re.search("<figcaption>(.*?)</figcaption>", text, re.DOTALL)[1]
    assert "Word error rate in each test condition" in caption
    assert ("A clean, B noisy" in caption) == (len(groups) > 1)


def test_pairs_stand_below_their_table(tmp_path, sets):
    counts = {"total": {"errors": 1, "words": 10}, "groups": {}}
    stages = ("mono", "tri1")
    table = table_rows([{"run": s} for s in stages], [{"run": s, "score": counts} for s in stages])
    lost = {"first": "mono", "second": "tri1", "seeds": [], "problem": "tri1: lost"}
    table.attrs["pairs"] = [lost]
    text = page(tmp_path, sets, tables=[("T", table)])
    assert "not compared; tri1: lost" in text and "Look at the interval before p" in text
    assert "Look at the interval" not in page(tmp_path, sets)
