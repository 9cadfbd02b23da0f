"""The report in a real browser: nothing fails, nothing is too wide, tables can be sorted."""

import pytest
from matplotlib import pyplot as plt

from darkknowledge.figures import save_figure
from tests.browser import look_at, needs_chromium
from tests.unit.test_report import page, sets  # noqa: F401

pytestmark = needs_chromium

SORT = """
const table = document.querySelector("table.results");
const heads = [...table.tHead.rows].pop().cells;
const column = at => [...table.tBodies[0].rows].map(row => row.cells[at].textContent.trim());
const seen = [column(0)];
for (const at of [0, 4, 4, 4]) {
  heads[at].click();
  seen.push(column(0));
}
heads[5].dispatchEvent(new KeyboardEvent("keydown", {key: "Enter"}));
return [...seen, column(0), heads[5].getAttribute("aria-sort"), heads[4].getAttribute("aria-sort")];
"""


@pytest.fixture
def figure(tmp_path):
    drawn, _ = plt.subplots(figsize=(9.6, 4))
    save_figure(drawn, tmp_path / "conditions")
    return tmp_path / "conditions.svg"


def test_a_page_without_a_fault_at_both_widths(tmp_path, sets, figure):  # noqa: F811
    page(tmp_path, sets, figures=[("Conditions", figure)], again="snakemake " + "x" * 300)
    wide, narrow = look_at(tmp_path / "report.html", tmp_path, script=SORT)
    assert (wide["width"], narrow["width"]) == (1280, 390)
    for told in (wide, narrow):
        assert told["problems"] == told["spoken"] == []
        assert told["needed"] <= told["width"]
        assert len(told["images"]) == 1 and min(told["images"]) > 600
        first, by_name, up, down, again, other, *sorting = told["asked"]
        assert first == again == ["mono", "tri1", "a net", "lost"]
        assert by_name == ["a net", "lost", "mono", "tri1"]
        assert up == ["a net", "mono", "tri1", "lost"], "by WER: 9.5, 10, 80, none"
        assert down == ["tri1", "mono", "a net", "lost"]
        assert other == ["a net", "mono", "tri1", "lost"], "by parameters: 0.9 M, none"
        assert sorting == ["ascending", None]


def test_faults_are_seen(tmp_path):
    (tmp_path / "bad.html").write_text(
        '<!doctype html><html><head></head><body><img src="absent.png">'
        '<div style="width: 700px">wide</div><script>nothing();</script></body></html>'
    )
    wide, narrow = look_at(tmp_path / "bad.html", tmp_path)
    assert wide["needed"] == 1280 and narrow["needed"] >= 700
    for told in (wide, narrow):
        assert told["images"] == [0]
        assert any("absent.png" in problem for problem in told["problems"])
        assert any("nothing is not defined" in problem for problem in told["problems"])
