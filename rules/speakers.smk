"""A trained network to hypotheses of networks that are adapted to the speakers of the test set.

Inputs: the networks of the run in `start` and of the teachers, the tuning of the former, features
Outputs: decode/{run}/seed{seed}/part{part}of{parts}.json, which are put together as those of other
systems
"""


rule adapt_speakers:
    input:
        unpack(adaptation_inputs),
        **graph_of(study.hmm.aligner),
        utt2spk=f"{R}/data/test/utt2spk",
    output:
        hypotheses=temp(f"{R}/decode/{{run}}/seed{{seed}}/part{{part}}of{DECODING_JOBS}.json"),
    log:
        f"{LOGS}/adapt_speakers/{{run}}.seed{{seed}}.part{{part}}.log",
    benchmark:
        f"{BENCHMARKS}/adapt_speakers/{{run}}.seed{{seed}}.part{{part}}.jsonl"
    wildcard_constraints:
        run=either(ADAPTED),
    conda:
        "../envs/speech.yaml"
    threads: 1
    resources:
        **needs("speakers"),
        gpu=1,
    params:
        code=code("adapt_speakers"),
        run=lambda wildcards: study.run_options(wildcards.run),
        soft_targets=lambda wildcards: plain(study.stored[wildcards.run]),
        parts=DECODING_JOBS,
    script:
        "../scripts/adapt_speakers.py"
