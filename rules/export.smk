"""A trained run to a folder that recognises speech by itself, on demand.

Inputs: networks/{run}/seed{seed}/model.pt, decode/{run}/seed{seed}/tuning.json, graph/{stage}; of a
run that reads fmllr what adapts features to speakers, too: hmm/tri3b, decode/tri3b/tuning.json
Outputs: export/{run}/seed{seed}/{recogniser.json,network.onnx,network.int8.onnx,cmvn.npy,HCLG.fst,
words.txt,boundaries.npy,SHA256SUMS}, and score.json: errors and speed on the test set; of a run that
reads fmllr also adaptation.npz, cmvn_mfcc.npy and, where networks have the graph of another stage,
adaptation/
"""

EXPORTED = f"{R}/export/{{run}}/seed{{seed}}"
SEARCHED = ["HCLG.fst", "words.txt", "boundaries.npy", "SHA256SUMS"]
EXPORTED_FILES = [
    f"{EXPORTED}/{name}" for name in ("network.onnx", "network.int8.onnx", "cmvn.npy", *SEARCHED)
]
ADAPTER_FILES = [
    f"{EXPORTED}/{name}"
    for name in (
        "adaptation.npz",
        "cmvn_mfcc.npy",
        *(f"adaptation/{name}" for name in SEARCHED if study.hmm.aligner != "tri3b"),
    )
]
READING_FMLLR = [run for run in study.runs if study.input_kind(run) == "fmllr"]


def features_and_adapter(wildcards):
    """Name what an export reads of features and, of a run that reads fmllr, of their maker."""
    kind = study.input_kind(wildcards.run)
    if wildcards.run in ADAPTED:
        raise StudyError(
            f"{wildcards.run}: each speaker of the test set has a network of its own; export the run "
            f"that they start from, {study.runs[wildcards.run].start}"
        )
    named = {
        "train_cmvn": f"{R}/features/train/cmvn_{kind}.scp",
        "features": f"{R}/features/dev/{kind}.scp",
        "cmvn": f"{R}/features/dev/cmvn_{kind}.scp",
    }
    if kind == "fmllr":
        named |= {f"adapter_{name}": path for name, path in graph_of("tri3b").items()}
        named |= {
            "adapter": f"{R}/hmm/tri3b/model.npz",
            "adapter_tuning": f"{R}/decode/tri3b/tuning.json",
            "mfcc_cmvn": f"{R}/features/train/cmvn_mfcc.scp",
        }
    return named


def exported_and_test_features(wildcards):
    """Name an exported run and what its network reads of the test set."""
    kind = study.input_kind(wildcards.run)
    return {
        "description": f"{EXPORTED}/recogniser.json",
        "files": [*EXPORTED_FILES, *(ADAPTER_FILES if kind == "fmllr" else [])],
        "features": f"{R}/features/test/{kind}.scp",
        "cmvn": f"{R}/features/test/cmvn_{kind}.scp",
    }


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
