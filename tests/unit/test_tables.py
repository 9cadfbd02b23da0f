import json
import math

import pandas as pd
import pytest

from darkknowledge.corpora.conditions import group
from darkknowledge.errors import DataError
from darkknowledge.failures import mark
from darkknowledge.files import write_json
from darkknowledge.papers import PAPERS
from darkknowledge.scoring import Counts, Score
from darkknowledge.tables import (
    html_table,
    latex_table,
    markdown_table,
    partial_tables,
    read_table_rows,
    table_notes,
    table_rows,
    terminal_table,
    word_error_rates,
    write_table,
)

TABLE1 = "1505.04630/table1"
RUNS = [
    {"run": "dnn", "label": "DNN (teacher)", "targets": "hard"},
    {"run": "rnn", "label": "RNN-T2 (pretrain)", "targets": "pretrain"},
]


def score(**errors):
    conditions = {c[1:]: Counts(100 - e, e) for c, e in errors.items()}
    groups = {}
    for condition, counts in conditions.items():
        letter = group(condition)
        groups[letter] = groups.get(letter, Counts()) + counts
    return Score(conditions, groups, sum(conditions.values(), Counts())).record()


def result(run, seed, errors, tr_fa=60.0, cv_fa=50.0):
    return {
        "run": run,
        "seed": seed,
        "summary": {"tr_fa": tr_fa, "cv_fa": cv_fa, "parameters": 1234567},
        "score": score(c01=errors, c02=2 * errors, c03=4 * errors, c08=errors, c14=6 * errors),
    }


def test_word_error_rates_by_hand():
    counts = {"A": {"errors": 1, "words": 50}, "D": {"errors": 9, "words": 30}}
    rates = word_error_rates({"total": {"errors": 25, "words": 200}, "groups": counts})
    assert rates == pytest.approx({"wer": 12.5, "wer_A": 2.0, "wer_D": 30.0})


def test_damaged_score():
    with pytest.raises(DataError, match="a score without 'total'"):
        word_error_rates({"groups": {}})
    with pytest.raises(DataError, match="a score without words"):
        word_error_rates({"total": {"errors": 0, "words": 0}, "groups": {}})


def test_mean_and_deviation_over_seeds():
    results = [result("dnn", 1, 4, 60, 50), result("dnn", 2, 6, 62, 52), result("rnn", 1, 3)]
    table = table_rows(RUNS, results, TABLE1).set_index("run")
    dnn, rnn = table.loc["dnn"], table.loc["rnn"]
    assert (dnn["tr_fa"], dnn["cv_fa"]) == (61, 51)
    assert dnn["tr_fa_std"] == pytest.approx(math.sqrt(2))
    # errors 4 (1 + 2 + 4 + 1 + 6) of 500 words, and 6 (...) of 500
    assert dnn["wer"] == pytest.approx((100 * 56 / 500 + 100 * 84 / 500) / 2)
    assert dnn["wer_std"] == pytest.approx((16.8 - 11.2) / math.sqrt(2))
    assert dnn["wer_B"] == pytest.approx(100 * 5 * 6 / 200)
    assert dnn["seeds"] == 2 and dnn["parameters"] == 1234567
    assert dnn["targets"] == "Hard" and rnn["targets"] == "Soft, Hard"
    assert math.isnan(rnn["wer_std"])
    assert (rnn["paper_tr_fa"], rnn["paper_cv_fa"], rnn["paper_wer"]) == (64.6, 54.1, 10.57)
    assert (table["problem"] == "").all()


def test_columns_besides():
    results = [result("dnn", 1, 4), result("rnn", 1, 3), result("rnn", 2, 3)]
    for place, one in enumerate(results):
        one["summary"] |= {"multiply_adds": 1_500_000 + 2000 * place, "int8_bytes": 1_540_000}
    results[2]["summary"]["cache_kl"] = 0.01234
    table = table_rows(RUNS, results, None, ["multiply_adds", "int8_bytes", "cache_kl"])
    assert table["multiply_adds"].tolist() == [1_500_000, 1_503_000]
    heads, cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in markdown_table(table).splitlines()[::3]
    ]
    found = dict(zip(heads, cells, strict=True))
    assert found["MAC k"] == "1503 ± 1"
    assert (found["int8 MB"], found["KL"]) == ("1.54", "0.0123")
    assert "1503" in html_table(table) and r"1503 $\pm$ 1" in latex_table(table)
    assert "KL: divergence of the stored" in "".join(table_notes(table))


def test_speed_stands_in_the_table_where_it_was_measured(tmp_path):
    for name, content in (
        ("score", result("dnn", 1, 4)["score"]),
        ("summary", result("dnn", 1, 4)["summary"]),
        ("speed", {"audio_seconds": 60.0, "network_rtf": 0.00421, "rtf": 0.0514}),
    ):
        write_json(tmp_path / f"{name}.json", content)
    spec = {
        "rows": [RUNS[0], {"run": "mono"}, {"run": "tri1"}],
        "systems": [["dnn", 1], ["mono", None], ["tri1", None]],
        "scores": [f"{tmp_path}/score.json"] * 3,
        "summaries": [f"{tmp_path}/summary.json", None, None],
        "speeds": [f"{tmp_path}/speed.json"] * 2 + [None],
        "columns": ["network_rtf", "rtf"],
    }
    lines = markdown_table(read_table_rows(spec)).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    place = cells[0].index("net RTF")
    shown = [row[place : place + 2] for row in (cells[0], *cells[2:])]
    assert shown == [["net RTF", "RTF"], ["0.0042", "0.051"], ["0.0042", "0.051"], ["–", "–"]]


def test_networks_of_each_speaker_have_no_summary():
    runs = [RUNS[0], {**RUNS[1], "adapted": True}]
    results = [result("dnn", 1, 4), {**result("rnn", 1, 3), "summary": None}]
    _, adapted = table_rows(runs, results).to_dict("records")
    assert (adapted["problem"], adapted["seeds"], adapted["targets"]) == ("", 1, "Soft, Hard")
    assert adapted["wer"] > 0 and math.isnan(adapted["cv_fa"])
    (_, lost) = table_rows(RUNS, results).to_dict("records")
    assert lost["problem"] == "seed 1: no result"


def test_one_seed_has_no_deviation():
    table = table_rows(RUNS, [result("dnn", 1, 4), result("rnn", 1, 3)], TABLE1)
    for text in (markdown_table(table), terminal_table(table), latex_table(table)):
        assert "±" not in text and "pm" not in text
        assert "nan" not in text.lower()
    assert "One seed" in " ".join(table_notes(table))


def test_the_files_of_a_run_that_diverged_are_a_gap(tmp_path):
    spec = {"rows": RUNS, "systems": [], "scores": [], "summaries": []}
    for run, seed in (("dnn", 1), ("rnn", 1), ("rnn", 2)):
        names = tmp_path / f"{run}{seed}.score.json", tmp_path / f"{run}{seed}.summary.json"
        found = result(run, seed, 4)
        for name, key in zip(names, ("score", "summary"), strict=True):
            write_json(name, found[key])
            if (run, seed) == ("rnn", 2):
                mark([name], "rnn seed 2: the loss is 1e+30")
            spec[{"score": "scores", "summary": "summaries"}[key]].append(name)
        spec["systems"].append([run, seed])
    table = read_table_rows(spec)
    assert list(table["problem"]) == ["", "seed 2: rnn seed 2: the loss is 1e+30"]
    assert list(table["seeds"]) == [1, 1] and table["wer"].notna().all()


def test_a_table_of_what_there_is_has_gaps(tmp_path):
    files = {
        run: [str(tmp_path / f"{run}.{key}.json") for key in ("score", "summary")]
        for run in ("dnn", "rnn")
    }
    found = result("dnn", 1, 4)
    for name, key in zip(files["dnn"], ("score", "summary"), strict=True):
        write_json(name, found[key])
    spec = {
        "title": "Half",
        "rows": RUNS,
        "systems": [["dnn", 1], ["rnn", 1]],
        "scores": [files["dnn"][0], files["rnn"][0]],
        "summaries": [files["dnn"][1], files["rnn"][1]],
        "significance": str(tmp_path / "none.json"),
    }
    nothing = {**spec, "scores": files["rnn"][:1] * 2}
    text = partial_tables({"half": spec, "nothing": nothing})
    assert text.count("Half") == 1 and "seed 1: no result" in text
    assert partial_tables({"nothing": nothing}) == ""
    with pytest.raises(DataError, match="rnn.summary.json: no such file"):
        read_table_rows(spec)


def test_a_lost_run_is_a_gap_with_its_reason():
    lost = {"run": "rnn", "seed": 1, "summary": None, "score": None, "problem": "loss diverged"}
    table = table_rows(RUNS, [result("dnn", 1, 4), result("dnn", 2, 5) | {"score": None}, lost])
    assert list(table["problem"]) == ["seed 2: not decoded", "seed 1: loss diverged"]
    assert "RNN-T2 (pretrain): seed 1: loss diverged." in table_notes(table)
    assert "| RNN-T2 (pretrain) | Soft, Hard | – | –" in markdown_table(table)
    assert '<td class="gap" colspan="8">seed 1: loss diverged</td>' in html_table(table)
    nothing = table_rows(RUNS, [])
    assert list(nothing["problem"]) == ["no result", "no result"]
    for write in (markdown_table, latex_table, html_table, terminal_table):
        assert "DNN" in write(nothing)


def test_gmm_rows_have_no_frame_accuracy():
    stages = [{"run": stage, "label": stage} for stage in ("mono", "tri1", "tri2b")]
    results = [{"run": s["run"], "score": score(c01=9 - i)} for i, s in enumerate(stages)]
    table = table_rows(stages, results, "kaldi/aurora4")
    lines = terminal_table(table, "GMM").splitlines()
    assert lines[0] == "GMM"
    assert lines[2].split() == ["Model", "WER", "%", "|", "WER", "%"]
    assert lines[4].split() == ["mono", "9.00", "|", "38.18"]
    assert lines[5].split() == ["tri1", "8.00", "|", "-"]
    assert (table["problem"] == "").all()
    assert "frame accuracy" not in terminal_table(table)


def test_groups_stand_there_only_where_there_are_several():
    one = word_error_rates(score(c01=7))
    assert one == {"wer": 7.0}
    assert set(word_error_rates(score(c01=7, c02=3))) == {"wer", "wer_A", "wer_B"}
    other = {"total": {"errors": 1, "words": 10}, "groups": {}, "conditions": {"street": {}}}
    table = table_rows([{"run": "mono"}], [{"run": "mono", "score": other}])
    assert "WER: of the whole test set." in table_notes(table)
    assert markdown_table(table).splitlines()[0] == "| Model | WER % |"


def test_gmm_stages_stand_beside_runs_and_have_no_seeds(tmp_path):
    rows = [{"run": "mono", "label": "mono"}, {**RUNS[0], "label": "DNN"}]
    results = [{"run": "mono", "seed": None, "score": score(c01=50)}]
    results += [result("dnn", seed, 4 + seed) for seed in (1, 2, 3)]
    for one in results[1:]:
        one["score"] = score(c01=30 + one["seed"])
    table = table_rows(rows, results, "kaldi/reference")
    assert list(table["seeds"]) == [0, 3] and (table["problem"] == "").all()
    assert math.isnan(table["wer_std"][0]) and table["wer_std"][1] == pytest.approx(1)
    notes = " ".join(table_notes(table))
    assert "Mean ± standard deviation over n = 3 seeds." in notes
    assert markdown_table(table).splitlines() == [
        "| Model | Targets | TR FA % | CV FA % | WER % | Parameters | Kaldi WER % |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
        "| mono |  | – | – | 50.00 | – | 58.90 |",
        "| DNN | Hard | 60.0 ± 0.0 | 50.0 ± 0.0 | **32.00** ± 1.00 | 1.23 M | 35.40 |",
    ]
    for write in (latex_table, html_table, terminal_table):
        assert "Kaldi, the reference task" in write(table)
        assert "paper, " not in write(table)
    write_table(table, tmp_path / "reference", "Reference")
    assert pd.read_csv(tmp_path / "reference.csv")["paper_wer"].tolist() == [58.9, 35.4]


def test_only_numbers_of_other_corpora_are_not_to_be_compared():
    results = [{"run": "mono", "score": score(c01=9)}]
    notes = {
        paper: " ".join(table_notes(table_rows([{"run": "mono"}], results, paper)))
        for paper in ("kaldi/aurora4", "kaldi/reference")
    }
    assert "Paper columns: Kaldi, egs/aurora4" in notes["kaldi/aurora4"]
    assert "Another corpus" in notes["kaldi/aurora4"]
    assert "Kaldi columns: Kaldi of July 2025" in notes["kaldi/reference"]
    assert "Another corpus" not in notes["kaldi/reference"]


def test_markdown_by_hand():
    table = table_rows(RUNS, [result("dnn", 1, 4), result("rnn", 1, 3)], TABLE1)
    assert markdown_table(table).splitlines()[2:] == [
        "| DNN (teacher) | Hard | 60.0 | 50.0 | 11.20 | 4.00 | 12.00 | 4.00 | 24.00 | 1.23 M "
        "| 63.0 | 45.2 | 11.40 |",
        "| RNN-T2 (pretrain) | Soft, Hard | 60.0 | 50.0 | **8.40** | **3.00** | **9.00** "
        "| **3.00** | **18.00** | 1.23 M | 64.6 | 54.1 | 10.57 |",
    ]


def test_files(tmp_path):
    results = [result("dnn", s, 4 + s) for s in (1, 2)] + [result("rnn", 1, 3)]
    table = table_rows([{**RUNS[0], "label": "A & B_<1>"}, RUNS[1]], results, TABLE1)
    write_table(table, tmp_path / "table1", "Table 1: 100 %")
    read = pd.read_csv(tmp_path / "table1.csv")
    assert list(read["run"]) == ["dnn", "rnn"]
    assert read["wer"][0] == pytest.approx(table["wer"][0], abs=1e-4)
    assert read["parameters"][0] == 1234567
    tex = (tmp_path / "table1.tex").read_text()
    assert r"A \& B\_$<$1$>$" in tex and r"$\pm$" in tex and "±" not in tex
    assert r"\caption{Table 1: 100 \%}" in tex
    rows = [line for line in tex.splitlines() if line.endswith(r"\\")]
    assert {line.count("&") - 2 * line.count(r"\&") // 2 for line in rows[1:]} == {12}
    page = (tmp_path / "table1.html").read_text()
    assert "A &amp; B_&lt;1&gt;" in page and "another corpus" in page.lower()
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    write_table(table, tmp_path / "table1", "Table 1: 100 %")
    assert before == {p.name: p.read_bytes() for p in tmp_path.iterdir()}


def test_unknown_paper_is_named():
    with pytest.raises(DataError, match=r"no table 'x'.*1505\.04630/table1"):
        table_rows(RUNS, [], "x")


def test_papers_numbers():
    rows = PAPERS[TABLE1]["rows"]
    assert len(rows) == 8
    assert rows["RNN-T1 (soft)"] == {"tr_fa": 59.4, "cv_fa": 49.9, "wer": 11.46}
    assert min(rows, key=lambda label: rows[label]["wer"]) == "RNN-T2 (pretrain)"
    for table in PAPERS.values():
        for numbers in table["rows"].values():
            assert all(0 < value < 100 for value in numbers.values())


def compared(p):
    return {
        "first": "dnn",
        "second": "rnn",
        "seeds": [1],
        "problem": "",
        "utterances": 28,
        "sentences": 2,
        "wer": [11.2, 8.4],
        "difference": -2.8,
        "interval": [-4.0, -1.5],
        "relative": -25.0,
        "relative_interval": [-33.0, -12.0],
        "p": p,
        "p_holm": p,
        "significant": p < 0.05,
        "mapsswe": {"segments": 90, "mean": 0.5, "deviation": 1.0, "z": 4.74, "p": 0.000002},
    }


def written(folder, name, value):
    (folder / name).write_text(json.dumps(value))
    return str(folder / name)


def test_marks_and_notes_of_pairs(tmp_path):
    results = {"dnn": result("dnn", 1, 4), "rnn": result("rnn", 1, 3)}
    spec = {
        "rows": RUNS,
        "paper": TABLE1,
        "systems": [["dnn", 1], ["rnn", 1]],
        "scores": [written(tmp_path, f"{n}.json", r["score"]) for n, r in results.items()],
        "summaries": [written(tmp_path, f"{n}s.json", r["summary"]) for n, r in results.items()],
        "significance": written(tmp_path, "pairs.json", [compared(0.01)]),
    }
    table = read_table_rows(spec)
    assert "| **8.40**† |" in markdown_table(table)
    assert r"\textbf{8.40}\textsuperscript{\dag{}}" in latex_table(table)
    page = html_table(table)
    assert '<td class="best">8.40<sup style="min-width: 1ch">†</sup></td>' in page
    assert '<td>11.20<sup style="min-width: 1ch"></sup></td>' in page
    lines = terminal_table(table).splitlines()
    assert lines[3].index("11.20") == lines[4].index(" 8.40†")
    write_table(table, tmp_path / "table1", "Table 1")
    assert pd.read_csv(tmp_path / "table1.csv")["differs_from"].tolist()[1] == "dnn"
    for kind, minus in (("md", "−2.80 points"), ("tex", "$-$2.80 points"), ("html", "−2.80")):
        text = (tmp_path / f"table1.{kind}").read_text()
        assert minus in text and "bootstrap over 2 sentences" in text
    assert "11.20 |" in markdown_table(table) and "11.20†" not in markdown_table(table)
    (tmp_path / "pairs.json").write_text(json.dumps([compared(0.2)]))
    table = read_table_rows(spec)
    assert "8.40†" not in terminal_table(table) and "p = 0.200" in terminal_table(table)
    del spec["significance"]
    assert "bootstrap" not in terminal_table(read_table_rows(spec))


def test_a_score_or_summary_that_says_problem_is_a_gap(tmp_path):
    good = result("dnn", 1, 4)
    lost = written(tmp_path, "lost.json", {"problem": "loss diverged in epoch 3"})
    score = written(tmp_path, "score.json", good["score"])
    spec = {
        "rows": RUNS,
        "systems": [["dnn", 1], ["dnn", 2], ["rnn", 1]],
        "scores": [score, lost, lost],
        "summaries": [written(tmp_path, "s.json", good["summary"]), lost, lost],
    }
    table = read_table_rows(spec)
    assert list(table["seeds"]) == [1, 0]
    assert list(table["problem"]) == [f"seed {n}: loss diverged in epoch 3" for n in (2, 1)]
    assert math.isnan(table["wer"][1])
    assert "RNN-T2 (pretrain): seed 1: loss diverged in epoch 3." in table_notes(table)


def test_fewer_seeds_of_a_run_are_named():
    results = [result("dnn", seed, 4 + seed) for seed in (1, 2, 3)] + [result("rnn", 1, 3)]
    notes = " ".join(table_notes(table_rows(RUNS, results)))
    assert "over n = 3 seeds; RNN-T2 (pretrain): n = 1." in notes
