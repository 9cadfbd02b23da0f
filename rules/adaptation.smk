"""MFCC to features adapted to the speaker, for networks that read `fmllr`.

Inputs: features/{set}/mfcc.scp, hmm/tri3b/model.npz; of the training set its alignments, of dev
and test the graph and the scales with which tri3b recognises them
Outputs: features/{set}/{fmllr,cmvn_fmllr}.{ark,scp}
"""


rule adapt_features:
    input:
        unpack(what_is_said),
        features=f"{R}/features/{{set}}/mfcc.scp",
        cmvn=f"{R}/features/{{set}}/cmvn_mfcc.scp",
        utt2spk=f"{R}/data/{{set}}/utt2spk",
        model=f"{R}/hmm/tri3b/model.npz",
    output:
        fmllr=multiext(f"{R}/features/{{set}}/fmllr", ".ark", ".scp", ".crc"),
        cmvn=multiext(f"{R}/features/{{set}}/cmvn_fmllr", ".ark", ".scp", ".crc"),
    log:
        f"{LOGS}/adapt_features/{{set}}.log",
    benchmark:
        f"{BENCHMARKS}/adapt_features/{{set}}.jsonl"
    priority: 30
    conda:
        "../envs/speech.yaml"
    threads: 1
    resources:
        **needs("decode"),
    params:
        code=code("adapt_features"),
        adaptation=hmm_options("tri3b").get("tri3b", {}),
    script:
        "../scripts/adapt_features.py"
