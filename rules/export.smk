"""A trained run to a folder that recognises speech by itself, on demand.

Inputs: networks/{run}/seed{seed}/model.pt, decode/{run}/seed{seed}/tuning.json, graph/{stage}
Outputs: export/{run}/seed{seed}/{recogniser.json,network.onnx,network.int8.onnx,cmvn.npy,HCLG.fst,
words.txt,boundaries.npy,SHA256SUMS}, and score.json: errors and speed on the test set
"""

EXPORTED = f"{R}/export/{{run}}/seed{{seed}}"


rule export:
    input:
        **graph_of(study.hmm.aligner),
        model=f"{R}/networks/{{run}}/seed{{seed}}/model.pt",
        tuning=f"{R}/decode/{{run}}/seed{{seed}}/tuning.json",
        wav=f"{R}/data/dev/wav.scp",
        train_cmvn=f"{R}/features/train/cmvn_fbank.scp",
        features=f"{R}/features/dev/fbank.scp",
        cmvn=f"{R}/features/dev/cmvn_fbank.scp",
        utt2spk=f"{R}/data/dev/utt2spk",
    output:
        description=f"{EXPORTED}/recogniser.json",
        files=[
            f"{EXPORTED}/{name}"
            for name in (
                "network.onnx",
                "network.int8.onnx",
                "cmvn.npy",
                "HCLG.fst",
                "words.txt",
                "boundaries.npy",
                "SHA256SUMS",
            )
        ],
    log:
        f"{LOGS}/export/{{run}}.seed{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/export/{{run}}.seed{{seed}}.jsonl"
    conda:
        "../envs/speech.yaml"
    threads: 1
    resources:
        **needs("decode"),
    params:
        code=code("export"),
        features=options("features"),
    script:
        "../scripts/export.py"


rule score_export:
    input:
        rules.export.output,
        features=f"{R}/features/test/fbank.scp",
        cmvn=f"{R}/features/test/cmvn_fbank.scp",
        text=f"{R}/data/test/text",
        utt2cond=f"{R}/data/test/utt2cond",
        description=rules.export.output.description,
    output:
        score=f"{EXPORTED}/score.json",
    log:
        f"{LOGS}/score_export/{{run}}.seed{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/score_export/{{run}}.seed{{seed}}.jsonl"
    conda:
        "../envs/speech.yaml"
    threads: 1
    resources:
        **needs("decode"),
    params:
        code=code("score_export"),
    script:
        "../scripts/score_export.py"
