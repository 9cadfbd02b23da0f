"""Numbers that others print, by table and by the label of the row; per cent throughout.

They stand beside ours for reference. But for those of the reference task they are of other
corpora: what can be compared is the order of the rows and the size of the differences, not the
values.
"""

from typing import NotRequired, TypedDict

OTHER_CORPUS = "Another corpus: compare the order of the rows and the differences, not the values."


class PaperTable(TypedDict):
    """One printed table: where it stands, the corpus, and its rows by label.

    ``name`` heads the columns, ``paper`` where it is absent; ``note`` says how the values can be
    compared with ours, as `OTHER_CORPUS` where it is absent.
    """

    source: str
    corpus: str
    rows: dict[str, dict[str, float]]
    name: NotRequired[str]
    note: NotRequired[str]


def _rows(columns: str, text: str) -> dict[str, dict[str, float]]:
    names = columns.split()
    rows = {}
    for line in text.strip().splitlines():
        label, *values = (part.strip() for part in line.split("|"))
        pairs = zip(names, values[0].split(), strict=True)
        rows[label] = {name: float(value) for name, value in pairs if value != "-"}
    return rows


PAPERS: dict[str, PaperTable] = {
    # RNN-T1 (soft) has 50.4 TR FA in some copies of version 1; later versions have 59.4.
    "1505.04630/table1": {
        "source": "Tang, Wang and Zhang, arXiv 1505.04630, Table 1",
        "corpus": "Aurora4",
        "rows": _rows(
            "tr_fa cv_fa wer",
            """
            DNN (teacher)     | 63.0 45.2 11.40
            RNN-0 (baseline)  | 67.3 51.9 13.57
            RNN-T1 (soft)     | 59.4 49.9 11.46
            RNN-T1 (reg.)     | 67.5 53.7 10.84
            RNN-T1 (pretrain) | 65.5 54.2 10.71
            RNN-T2 (soft)     | 58.2 49.5 11.32
            RNN-T2 (reg.)     | 65.8 53.3 10.88
            RNN-T2 (pretrain) | 64.6 54.1 10.57
            """,
        ),
    },
    "1506.02256/table1": {
        "source": "Tang, Wang, Pan and Zhang, arXiv 1506.02256, Table I",
        "corpus": "Aurora4",
        "rows": _rows(
            "tr_fa cv_fa wer",
            """
            DNN [4 hidden layers]           | 63.1 45.2 11.40
            RNN [raw], 1 layer              | 67.3 51.9 13.57
            RNN [prt.], 1 layer, T = 1      | 59.4 49.9 11.46
            RNN [prt.+ft.], 1 layer, T = 1  | 65.5 54.2 10.71
            RNN [prt.], 1 layer, T = 2      | 58.2 49.5 11.32
            RNN [prt.+ft.], 1 layer, T = 2  | 64.6 54.1 10.57
            RNN [raw], 2 layers             | 68.8 53.2 12.34
            RNN [prt.], 2 layers, T = 1     | 60.4 50.6 11.11
            RNN [prt.+ft.], 2 layers, T = 1 | 66.6 55.4 10.13
            RNN [prt.], 2 layers, T = 2     | 58.6 49.7 11.26
            RNN [prt.+ft.], 2 layers, T = 2 | 65.8 55.2 10.10
            """,
        ),
    },
    "1506.02256/table2": {
        "source": "Tang, Wang, Pan and Zhang, arXiv 1506.02256, Table II",
        "corpus": "Aurora4",
        "rows": _rows(
            "tr_fa cv_fa wer",
            """
            DNN [1 hidden layer]  | 61.2 42.5 13.10
            RNN [raw]             | 68.8 53.2 12.34
            RNN [prt.], T = 1     | 57.2 48.6 12.69
            RNN [prt.+ft.], T = 1 | 65.3 55.0 10.72
            RNN [prt.], T = 2     | 54.4 46.8 13.20
            RNN [prt.+ft.], T = 2 | 64.7 54.7 10.60
            """,
        ),
    },
    "1506.02256/table3": {
        "source": "Tang, Wang, Pan and Zhang, arXiv 1506.02256, Table III",
        "corpus": "Aurora4",
        "rows": _rows(
            "tr_fa cv_fa wer",
            """
            DNN-4H [4 hidden layers]      | 57.3 44.1 12.22
            DNN-1H [1 hidden layer]       | 54.8 41.7 13.90
            RBM                           | 58.1 45.8 11.42
            Layer-by-layer Discriminative | 61.1 43.8 12.16
            Knowledge Transfer (DNN-4H)   | 60.0 45.6 11.43
            Knowledge Transfer (DNN-1H)   | 59.6 45.1 11.65
            RBM + KT (DNN-4H)             | 59.5 46.2 11.13
            RBM + KT (DNN-1H)             | 59.4 46.1 11.25
            """,
        ),
    },
    "1504.01483/big": {
        "source": "Chan, Ke and Lane, arXiv 1504.01483, large models",
        "corpus": "WSJ; WER of eval92",
        "rows": _rows(
            "dev_wer wer",
            """
            GMM Kaldi    | 9.39 5.39
            DNN Kaldi s5 | 6.68 3.81
            DNN ReLU     | 6.84 3.79
            RNN          | 6.58 3.47
            """,
        ),
    },
    "1504.01483/small": {
        "source": "Chan, Ke and Lane, arXiv 1504.01483, small DNN by alignment",
        "corpus": "WSJ; WER of eval92",
        "rows": _rows(
            "dev_wer wer",
            """
            Hard GMM | 8.00 4.54
            Hard RNN | 7.83 4.63
            Soft RNN | 7.38 3.93
            Soft DNN | 7.43 4.27
            """,
        ),
    },
    # the teacher is DNN-H2048L6, the students have ten layers of 128 units
    "1608.00892/table1": {
        "source": "Lu, Guo and Renals, arXiv 1608.00892, Table 1",
        "corpus": "AMI IHM; WER of eval",
        "rows": _rows(
            "dev_wer wer",
            """
            DNN (teacher)       | 26.0 26.8
            DNN (teacher), sMBR | 24.3 24.6
            DNN                 | 31.5 34.1
            DNN, sMBR           | 29.3 30.8
            HDNN                | 29.4 32.0
            HDNN, sMBR          | 28.1 29.4
            """,
        ),
    },
    "1608.00892/table2": {
        "source": "Lu, Guo and Renals, arXiv 1608.00892, Table 2",
        "corpus": "AMI IHM; WER of eval",
        "rows": _rows(
            "dev_wer wer",
            """
            baseline       | 29.9 32.0
            q = 0, T = 1   | 29.3 31.3
            q = 0.2, T = 1 | 29.5 31.4
            q = 0.5, T = 1 | 29.4 31.3
            q = 1, T = 1   | 29.4 31.3
            q = 0, T = 2   | 29.9 32.3
            q = 0, T = 3   | 30.6 33.0
            """,
        ),
    },
    "1608.00892/table3": {
        "source": "Lu, Guo and Renals, arXiv 1608.00892, Table 3",
        "corpus": "AMI IHM; WER of eval",
        "rows": _rows(
            "wer",
            """
            KD, teacher by CE                         | 31.3
            KD, teacher by CE; sMBR, p = 0.2          | 28.4
            KD, teacher by sMBR                       | 28.8
            KD, teacher by sMBR; sMBR, p = 0.2        | 28.9
            KD, teacher by sMBR; sMBR, p = 0.5        | 28.0
            KD, teacher by sMBR; half rate, p = 0.2   | 28.6
            KD, teacher by sMBR; half rate, p = 0.5   | 28.0
            """,
        ),
    },
    # the first row of each network is the speaker-independent one
    "1608.00892/table4": {
        "source": "Lu, Guo and Renals, arXiv 1608.00892, Table 4",
        "corpus": "AMI IHM; WER of eval",
        "rows": _rows(
            "wer",
            """
            HDNN                | 29.4
            HDNN: CE, all       | 28.8
            HDNN: CE, gates     | 28.7
            HDNN-KD             | 28.4
            HDNN-KD: KD, all    | 27.5
            HDNN-KD: KD, gates  | 27.8
            HDNN-KD: CE, all    | 27.7
            HDNN-KD: CE, gates  | 27.1
            """,
        ),
    },
    "1608.00892/steps": {
        "source": "Lu, Guo and Renals, arXiv 1608.00892, Tables 1 to 4",
        "corpus": "AMI IHM; WER of eval",
        "rows": _rows(
            "wer",
            """
            DNN (teacher) | 26.8
            HDNN          | 32.0
            + KD          | 31.3
            + sMBR        | 28.4
            + gates: CE   | 27.1
            + gates: KD   | 27.8
            """,
        ),
    },
    "1610.05812/gates": {
        "source": "Lu and Renals, arXiv 1610.05812, gates of HDNN-H512L10",
        "corpus": "AMI IHM; WER of eval",
        "rows": _rows(
            "wer",
            """
            both gates      | 27.2
            C = 1 - T       | 27.4
            transform alone | 27.6
            carry alone     | 27.5
            """,
        ),
    },
    "1610.05812/updates": {
        "source": "Lu and Renals, arXiv 1610.05812, sMBR of HDNN-H512L10",
        "corpus": "AMI IHM; WER of eval",
        "rows": _rows(
            "wer",
            """
            CE                  | 27.2
            all                 | 24.9
            gates and softmax   | 25.2
            gates               | 25.8
            all, p = 0          | 25.0
            gates, p = 0        | 25.3
            boosted MMI         | -
            """,
        ),
    },
    "kaldi/aurora4": {
        "source": "Kaldi, egs/aurora4/s5/RESULTS, eval92",
        "corpus": "Aurora4",
        "rows": _rows("wer", "mono | 38.18\ntri2b | 19.61"),
    },
    "kaldi/reference": {
        "source": "Kaldi of July 2025, its standard scripts",
        "corpus": "the reference task",
        "name": "Kaldi",
        "note": "The data of studies/reference.yaml: the values can be compared. Scale and penalty "
        "are those that score best on the test set itself, worth a few tenths against dev.",
        "rows": _rows(
            "wer",
            """
            mono  | 58.9
            tri1  | 45.1
            tri2b | 41.5
            tri3b | 31.1
            DNN   | 35.4
            """,
        ),
    },
}
