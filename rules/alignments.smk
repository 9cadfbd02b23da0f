"""MFCC and transcripts to GMM-HMMs of growing detail, and to a pdf for every frame.

Inputs: features/{set}/mfcc.scp, data/{set}/text, lang/lexicon.txt
Outputs: hmm/{mono,tri1,tri2b}/model.npz, alignments/{train,dev}/{pdf,transition}.{ark,scp}
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
        alignments=multiext(f"{R}/hmm/mono/alignments", ".ark", ".scp"),
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
        mem="4GB",
        runtime="4h",
    params:
        code=code("train_mono"),
        hmm=hmm_options("mono"),
    script:
        "../scripts/train_mono.py"


rule train_tri1:
    input:
        **GMM_INPUTS,
        lexicon=f"{R}/lang/lexicon.txt",
        model=f"{R}/hmm/mono/model.npz",
        alignments=f"{R}/hmm/mono/alignments.scp",
    output:
        model=f"{R}/hmm/tri1/model.npz",
        alignments=multiext(f"{R}/hmm/tri1/alignments", ".ark", ".scp"),
        likelihoods=f"{R}/hmm/tri1/likelihoods.jsonl",
        phones=f"{R}/hmm/tri1/phones.txt",
        failed=f"{R}/hmm/tri1/failed.txt",
    log:
        f"{LOGS}/train_tri1.log",
    benchmark:
        f"{BENCHMARKS}/train_tri1.jsonl"
    conda:
        "../envs/speech.yaml"
    threads: 2
    resources:
        mem="4GB",
        runtime="4h",
    params:
        code=code("train_tri1"),
        hmm=hmm_options("tri1"),
    script:
        "../scripts/train_tri1.py"


rule train_tri2b:
    input:
        **GMM_INPUTS,
        lexicon=f"{R}/lang/lexicon.txt",
        model=f"{R}/hmm/tri1/model.npz",
        alignments=f"{R}/hmm/tri1/alignments.scp",
    output:
        model=f"{R}/hmm/tri2b/model.npz",
        alignments=multiext(f"{R}/hmm/tri2b/alignments", ".ark", ".scp"),
        likelihoods=f"{R}/hmm/tri2b/likelihoods.jsonl",
        phones=f"{R}/hmm/tri2b/phones.txt",
        failed=f"{R}/hmm/tri2b/failed.txt",
    log:
        f"{LOGS}/train_tri2b.log",
    benchmark:
        f"{BENCHMARKS}/train_tri2b.jsonl"
    conda:
        "../envs/speech.yaml"
    threads: 2
    resources:
        mem="4GB",
        runtime="4h",
    params:
        code=code("train_tri2b"),
        hmm=hmm_options("tri2b"),
    script:
        "../scripts/train_tri2b.py"


rule align:
    input:
        features=f"{R}/features/{{set}}/mfcc.scp",
        cmvn=f"{R}/features/{{set}}/cmvn_mfcc.scp",
        text=f"{R}/data/{{set}}/text",
        utt2spk=f"{R}/data/{{set}}/utt2spk",
        lexicon=f"{R}/lang/lexicon.txt",
        model=f"{R}/hmm/tri2b/model.npz",
    output:
        pdf=multiext(f"{R}/alignments/{{set}}/pdf", ".ark", ".scp"),
        transition=multiext(f"{R}/alignments/{{set}}/transition", ".ark", ".scp"),
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
        mem="4GB",
        runtime="1h",
    params:
        code=code("align"),
        hmm=hmm_options("alignment"),
    script:
        "../scripts/align.py"
