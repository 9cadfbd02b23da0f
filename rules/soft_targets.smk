"""A teacher's posteriors at one temperature, written once for all of its students.

Inputs: networks/{run}/seed{seed}/model.pt, features/{train,dev}/{fbank,fmllr}.scp
Outputs: soft_targets/{run}/seed{seed}/{cache}.soft: T1 or T2 and so on, at Tinf the logits, and
T1-most1 or T1-mass0.98 where a run stores them otherwise than the study
"""


rule write_soft_targets:
    input:
        unpack(network_features),
        model=f"{R}/networks/{{run}}/seed{{seed}}/model.pt",
    output:
        cache=f"{R}/soft_targets/{{run}}/seed{{seed}}/{{cache}}.soft",
    log:
        f"{LOGS}/write_soft_targets/{{run}}.seed{{seed}}.{{cache}}.log",
    benchmark:
        f"{BENCHMARKS}/write_soft_targets/{{run}}.seed{{seed}}.{{cache}}.jsonl"
    priority: 40
    conda:
        "../envs/speech.yaml"
    threads: 1
    resources:
        **needs("soft_targets"),
        gpu=1,
    params:
        code=code("write_soft_targets"),
        temperature=lambda wildcards: CACHE_KINDS[wildcards.cache][0],
        soft_targets=lambda wildcards: plain(CACHE_KINDS[wildcards.cache][1]),
    script:
        "../scripts/write_soft_targets.py"
