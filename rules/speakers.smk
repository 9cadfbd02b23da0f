"""A trained network to hypotheses of networks that are adapted to the speakers of the test set.

Inputs: the networks of the run in `start` and of the teachers, the tuning of the former, features
Outputs: decode/{run}/seed{seed}/{hypotheses.trn,hypotheses.ctm,score.json}, as other systems have
them
"""

SPEAKER_JOBS = study.decoding.adaptation_jobs


rule adapt_speakers:
    input:
        unpack(adaptation_inputs),
        **graph_of(study.hmm.aligner),
        utt2spk=f"{R}/data/test/utt2spk",
    output:
        hypotheses=temp(f"{R}/decode/{{run}}/seed{{seed}}/part{{part}}of{SPEAKER_JOBS}.json"),
    log:
        f"{LOGS}/adapt_speakers/{{run}}.seed{{seed}}.part{{part}}.log",
    benchmark:
        f"{BENCHMARKS}/adapt_speakers/{{run}}.seed{{seed}}.part{{part}}.jsonl"
    conda:
        "../envs/speech.yaml"
    threads: 1
    resources:
        gpu=1,
        mem="4GB",
        runtime="4h",
    params:
        code=code("adapt_speakers"),
        run=lambda wildcards: study.run_options(wildcards.run),
        soft_targets=lambda wildcards: plain(study.stored[wildcards.run]),
        parts=SPEAKER_JOBS,
    script:
        "../scripts/adapt_speakers.py"


rule gather_speakers:
    input:
        parts=[
            f"{R}/decode/{{run}}/seed{{seed}}/part{part}of{SPEAKER_JOBS}.json"
            for part in range(1, SPEAKER_JOBS + 1)
        ],
        text=f"{R}/data/test/text",
        utt2cond=f"{R}/data/test/utt2cond",
    output:
        trn=f"{R}/decode/{{run}}/seed{{seed}}/hypotheses.trn",
        ctm=f"{R}/decode/{{run}}/seed{{seed}}/hypotheses.ctm",
        score=f"{R}/decode/{{run}}/seed{{seed}}/score.json",
    log:
        f"{LOGS}/gather_speakers/{{run}}.seed{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/gather_speakers/{{run}}.seed{{seed}}.jsonl"
    wildcard_constraints:
        run=either(ADAPTED),
    conda:
        "../envs/speech.yaml"
    threads: 1
    resources:
        mem="1GB",
        runtime="10m",
    params:
        code=code("gather_speakers"),
        frame_shift=study.features.frame_shift,
    script:
        "../scripts/gather_speakers.py"
