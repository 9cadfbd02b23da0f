"""Summaries, scores, alignments and training logs to tables, figures and one page.

Inputs: networks/{run}/seed{seed}/{summary.json,metrics.jsonl}, decode/{system}/score.json;
decode/{system}/hypotheses.trn and data/test for pairs and worst utterances; features and ctm of
the train and dev set; report/*.rst, the captions
Outputs: significance/{table}.{json,csv}, tables/{table}.*, figures/*, report.html, summary.txt,
efficiency.csv
"""


localrules:
    test_significance,
    make_table,
    compute_toy,
    plot_toy,
    plot_alignments,
    plot_learning_curves,
    plot_conditions,
    plot_sweep,
    write_report,


rule test_significance:
    input:
        hypotheses=pairs_files("hypotheses.trn"),
        scores=pairs_files("score.json"),
        text=f"{R}/data/test/text",
        utt2spk=f"{R}/data/test/utt2spk",
    output:
        pairs=f"{R}/significance/{{table}}.json",
        csv=f"{R}/significance/{{table}}.csv",
    log:
        f"{LOGS}/test_significance/{{table}}.log",
    benchmark:
        f"{BENCHMARKS}/test_significance/{{table}}.jsonl"
    conda:
        "../envs/speech.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        code=code("test_significance"),
        table=lambda wildcards: pairs_spec(wildcards.table),
    script:
        "../scripts/test_significance.py"


rule make_table:
    input:
        lambda wildcards: spec_files(table_spec(wildcards.table)),
    output:
        **{kind: f"{R}/tables/{{table}}.{kind}" for kind in TABLE_FORMATS if kind != "html"},
        html=report(
            f"{R}/tables/{{table}}.html",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{table}"},
        ),
    log:
        f"{LOGS}/make_table/{{table}}.log",
    benchmark:
        f"{BENCHMARKS}/make_table/{{table}}.jsonl"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        code=code("make_table"),
        table=lambda wildcards: table_spec(wildcards.table),
    script:
        "../scripts/make_table.py"


rule compute_toy:
    output:
        toy=f"{R}/figures/toy.npz",
        numbers=f"{R}/figures/toy.csv",
    log:
        f"{LOGS}/compute_toy.log",
    benchmark:
        f"{BENCHMARKS}/compute_toy.jsonl"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        code=code("compute_toy"),
    script:
        "../scripts/compute_toy.py"


rule plot_toy:
    input:
        toy=f"{R}/figures/toy.npz",
    output:
        data=figure("toy_data", "toy"),
        surfaces=figure("toy_surfaces", "toy"),
    log:
        f"{LOGS}/plot_toy.log",
    benchmark:
        f"{BENCHMARKS}/plot_toy.jsonl"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        code=code("plot_toy"),
    script:
        "../scripts/plot_toy.py"


rule plot_alignments:
    input:
        features=expand(f"{R}/features/{{set}}/fbank.scp", set=("train", "dev")),
        text=expand(f"{R}/data/{{set}}/text", set=("train", "dev")),
        phones=expand(f"{R}/alignments/{{set}}/phones.ctm", set=("train", "dev")),
        words=expand(f"{R}/alignments/{{set}}/words.ctm", set=("train", "dev")),
    output:
        figure=figure("alignments", "alignments"),
    log:
        f"{LOGS}/plot_alignments.log",
    benchmark:
        f"{BENCHMARKS}/plot_alignments.jsonl"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        code=code("plot_alignments"),
        frame_shift=study.features.frame_shift,
        fbank=options("features").get("fbank", {}),
    script:
        "../scripts/plot_alignments.py"


rule plot_learning_curves:
    input:
        metrics=figure_files(f"{R}/networks/{{}}/seed{{}}/metrics.jsonl"),
        summaries=figure_files(f"{R}/networks/{{}}/seed{{}}/summary.json"),
    output:
        figure=figure("{table}/learning_curves", "{table}"),
    log:
        f"{LOGS}/plot_learning_curves/{{table}}.log",
    benchmark:
        f"{BENCHMARKS}/plot_learning_curves/{{table}}.jsonl"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        code=code("plot_learning_curves"),
        runs=lambda wildcards: figure_runs(wildcards.table),
    script:
        "../scripts/plot_learning_curves.py"


rule plot_conditions:
    input:
        scores=figure_files(f"{R}/decode/{{}}/seed{{}}/score.json", adapted=True),
    output:
        figure=figure("{table}/conditions", "{table}"),
    log:
        f"{LOGS}/plot_conditions/{{table}}.log",
    benchmark:
        f"{BENCHMARKS}/plot_conditions/{{table}}.jsonl"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        code=code("plot_conditions"),
        runs=lambda wildcards: figure_runs(wildcards.table, adapted=True),
    script:
        "../scripts/plot_conditions.py"


rule plot_sweep:
    input:
        lambda wildcards: spec_files(sweep_spec(wildcards.sweep)),
    output:
        figure=figure("{sweep}/sweep", "{sweep}"),
        points=f"{R}/figures/{{sweep}}/sweep.csv",
    log:
        f"{LOGS}/plot_sweep/{{sweep}}.log",
    benchmark:
        f"{BENCHMARKS}/plot_sweep/{{sweep}}.jsonl"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        code=code("plot_sweep"),
        sweep=lambda wildcards: sweep_spec(wildcards.sweep),
    script:
        "../scripts/plot_sweep.py"


rule write_report:
    input:
        results=sorted({file for name in TABLES for file in spec_files(table_spec(name))}),
        tables=list(TABLES.values()),
        figures=list(FIGURES),
        data=expand(f"{R}/data/{{set}}/wav.scp", set=SETS),
        lexicon=f"{R}/lang/lexicon.txt",
        captions=CAPTIONS,
        hypotheses=sorted({system["hypotheses"] for system in shown_systems()}),
    output:
        report=report(f"{R}/report.html", caption="../report/page.rst", category="Report"),
        efficiency=f"{R}/efficiency.csv",
        summary=f"{R}/summary.txt",
    log:
        f"{LOGS}/write_report.log",
    benchmark:
        f"{BENCHMARKS}/write_report.jsonl"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        code=code("write_report"),
        study=study.summary(),
        tables={name: table_spec(name) for name in TABLES},
        figures=list(FIGURES.values()),
        systems=shown_systems(),
    script:
        "../scripts/write_report.py"
