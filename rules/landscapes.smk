"""The loss around, between and on the way to trained networks, and numbers of its curvature.

Inputs: networks/{run}/seed{seed}/{model.pt,epochs.pt}, features/{train,dev}/{fbank,fmllr}.scp,
alignments/{train,dev}/pdf.scp, the caches of the objectives' teachers
Outputs: landscapes/{landscape}/{surface-run,line,path}/seed{seed}.npz,
landscapes/{landscape}/curvature-{run}/seed{seed}.json, figures/{landscape}/*

The points of a grid are kept in landscapes/{landscape}/points: a finer grid adds to them.
"""


localrules:
    plot_curvature,


rule compute_landscape:
    input:
        unpack(landscape_inputs),
    output:
        grid=f"{R}/landscapes/{{landscape}}/{{view}}/seed{{seed}}.npz",
    log:
        f"{LOGS}/compute_landscape/{{landscape}}.{{view}}.seed{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/compute_landscape/{{landscape}}.{{view}}.seed{{seed}}.jsonl"
    conda:
        "../envs/speech.yaml"
    threads: 2
    resources:
        **needs("landscape"),
        gpu=1,
    params:
        code=code("compute_landscape"),
        objectives=landscape_objectives,
        grid=landscape_options(GridOptions),
    script:
        "../scripts/compute_landscape.py"


rule compute_curvature:
    input:
        unpack(landscape_inputs),
    output:
        curvature=f"{R}/landscapes/{{landscape}}/curvature-{{run}}/seed{{seed}}.json",
    log:
        f"{LOGS}/compute_curvature/{{landscape}}.{{run}}.seed{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/compute_curvature/{{landscape}}.{{run}}.seed{{seed}}.jsonl"
    conda:
        "../envs/speech.yaml"
    threads: 1
    resources:
        **needs("landscape"),
        gpu=1,
    params:
        code=code("compute_curvature"),
        objectives=landscape_objectives,
        curvature=landscape_options(CurvatureOptions),
    script:
        "../scripts/compute_curvature.py"


for picture in ("surfaces", "line", "path"):

    rule:
        name:
            f"plot_{picture}"
        input:
            grids=landscape_grids(picture),
        output:
            figure=figure(f"{{landscape}}/{picture}", "{landscape}"),
        log:
            f"{LOGS}/plot_{picture}/{{landscape}}.log",
        benchmark:
            f"{BENCHMARKS}/plot_{picture}/{{landscape}}.jsonl"
        localrule: True
        conda:
            "../envs/report.yaml"
        threads: 1
        resources:
            **needs("small"),
        params:
            code=code("plot_landscape"),
            labels=landscape_labels,
            picture=picture,
        script:
            "../scripts/plot_landscape.py"


rule plot_curvature:
    input:
        measured=lambda wildcards: expand(
            f"{R}/landscapes/{wildcards.landscape}/curvature-{{run}}/seed{{seed}}.json",
            run=study.landscapes[wildcards.landscape].runs,
            seed=study.seeds,
        ),
    output:
        figure=figure("{landscape}/curvature", "{landscape}"),
        numbers=f"{R}/figures/{{landscape}}/curvature.csv",
    log:
        f"{LOGS}/plot_curvature/{{landscape}}.log",
    benchmark:
        f"{BENCHMARKS}/plot_curvature/{{landscape}}.jsonl"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        code=code("plot_curvature"),
        labels=landscape_labels,
    script:
        "../scripts/plot_curvature.py"
