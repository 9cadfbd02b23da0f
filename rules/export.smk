"""A trained run to a folder that recognises speech by itself, on demand.

Inputs: networks/{run}/seed{seed}/model.pt, decode/{run}/seed{seed}/tuning.json, graph/{stage}; of a
run that reads fmllr what adapts features to speakers, too: hmm/tri3b, decode/tri3b/tuning.json
Outputs: export/{run}/seed{seed}/{recogniser.json,network.onnx,network.int8.onnx,cmvn.npy,HCLG.fst,
words.txt,boundaries.npy,SHA256SUMS}, and score.json: errors and speed on the test set; of a run that
reads fmllr also adaptation.npz, cmvn_mfcc.npy and, where networks have the graph of another stage,
adaptation/
"""

READING_FMLLR = [run for run in study.runs if study.input_kind(run) == "fmllr"]


rule export:
    input:
        unpack(features_and_adapter),
        **graph_of(study.hmm.aligner),
        model=f"{R}/networks/{{run}}/seed{{seed}}/model.pt",
        tuning=f"{R}/decode/{{run}}/seed{{seed}}/tuning.json",
        wav=f"{R}/data/dev/wav.scp",
        utt2spk=f"{R}/data/dev/utt2spk",
    output:
        description=f"{EXPORTED}/recogniser.json",
        files=EXPORTED_FILES,
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
        adaptation=hmm_options("tri3b").get("tri3b", {}),
    script:
        "../scripts/export.py"


use rule export as export_adapted with:
    output:
        description=f"{EXPORTED}/recogniser.json",
        files=[*EXPORTED_FILES, *ADAPTER_FILES],
    wildcard_constraints:
        run=either(READING_FMLLR),


ruleorder: export_adapted > export


rule score_export:
    input:
        unpack(exported_and_test_features),
        text=f"{R}/data/test/text",
        utt2cond=f"{R}/data/test/utt2cond",
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
