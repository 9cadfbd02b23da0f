"""MFCC and transcripts to GMM-HMMs of growing detail, and to a pdf for every frame.

Inputs: features/{set}/mfcc.scp, data/{set}/text, lang/lexicon.txt
Outputs: hmm/{stage}/model.npz, alignments/{train,dev}/{pdf,transition}.{ark,scp}
"""

GMM_INPUTS = {
    "features": f"{R}/features/train/mfcc.scp",
    "cmvn": f"{R}/features/train/cmvn_mfcc.scp",
    "text": f"{R}/data/train/text",
    "utt2spk": f"{R}/data/train/utt2spk",
}


rule train_mono:
    input:
        **GMM_INPUTS,
        lexicon=f"{R}/lang/lexicon.txt",
    output:
        model=f"{R}/hmm/mono/model.npz",
        alignments=multiext(f"{R}/hmm/mono/alignments", ".ark", ".scp", ".crc"),
        likelihoods=f"{R}/hmm/mono/likelihoods.jsonl",
        phones=f"{R}/hmm/mono/phones.txt",
        failed=f"{R}/hmm/mono/failed.txt",
    log:
        f"{LOGS}/train_mono.log",
    benchmark:
        f"{BENCHMARKS}/train_mono.jsonl"
    conda:
        "../envs/speech.yaml"
    threads: 2
    resources:
        **needs("gmm"),
        gpu=0,
    params:
        code=code("train_mono"),
        hmm=hmm_options("mono"),
    script:
        "../scripts/train_mono.py"


rule train_triphones:
    input:
        unpack(stage_before),
        **GMM_INPUTS,
        lexicon=f"{R}/lang/lexicon.txt",
    output:
        model=f"{R}/hmm/{{stage}}/model.npz",
        alignments=multiext(f"{R}/hmm/{{stage}}/alignments", ".ark", ".scp", ".crc"),
        likelihoods=f"{R}/hmm/{{stage}}/likelihoods.jsonl",
        phones=f"{R}/hmm/{{stage}}/phones.txt",
        failed=f"{R}/hmm/{{stage}}/failed.txt",
    log:
        f"{LOGS}/train_{{stage}}.log",
    benchmark:
        f"{BENCHMARKS}/train_{{stage}}.jsonl"
    wildcard_constraints:
        stage="tri1|tri2b|tri3b",
    conda:
        "../envs/speech.yaml"
    threads: 2
    resources:
        **needs("gmm"),
        gpu=0,
    params:
        code=code("train_triphones"),
        hmm=lambda wildcards: hmm_options(wildcards.stage),
    script:
        "../scripts/train_triphones.py"


rule align:
    input:
        features=f"{R}/features/{{set}}/mfcc.scp",
        cmvn=f"{R}/features/{{set}}/cmvn_mfcc.scp",
        text=f"{R}/data/{{set}}/text",
        utt2spk=f"{R}/data/{{set}}/utt2spk",
        lexicon=f"{R}/lang/lexicon.txt",
        model=f"{R}/hmm/{study.hmm.aligner}/model.npz",
    output:
        pdf=multiext(f"{R}/alignments/{{set}}/pdf", ".ark", ".scp", ".crc"),
        transition=multiext(f"{R}/alignments/{{set}}/transition", ".ark", ".scp", ".crc"),
        phones=f"{R}/alignments/{{set}}/phones.ctm",
        words=f"{R}/alignments/{{set}}/words.ctm",
        failed=f"{R}/alignments/{{set}}/failed.txt",
    log:
        f"{LOGS}/align/{{set}}.log",
    benchmark:
        f"{BENCHMARKS}/align/{{set}}.jsonl"
    priority: 30
    conda:
        "../envs/speech.yaml"
    threads: 2
    resources:
        **needs("gmm"),
        gpu=0,
    params:
        code=code("align"),
        hmm=hmm_options("alignment"),
        frame_shift=study.features.frame_shift,
    script:
        "../scripts/align.py"
