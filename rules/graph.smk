"""Text, lexicon and tree to decoding graphs.

Inputs: lang/{lexicon.txt,lm_text.txt} or a language model made elsewhere, hmm/{stage}/model.npz
Outputs: lang/lm.arpa, graph/{stage}/{HCLG.fst,words.txt,boundaries.npy,tree.txt,SHA256SUMS}; where
the study asks for probabilities of pronunciations,
graph/pronunciations/{lexiconp,lexiconp_silprob,silprob}.txt
"""

PRONUNCIATIONS = multiext(
    f"{R}/graph/pronunciations/", "lexiconp.txt", "lexiconp_silprob.txt", "silprob.txt"
)

if study.arpa:

    rule take_lm:
        input:
            arpa=there(study.arpa),
            lexicon=f"{R}/lang/lexicon.txt",
        output:
            arpa=f"{R}/lang/lm.arpa",
        log:
            f"{LOGS}/take_lm.log",
        benchmark:
            f"{BENCHMARKS}/take_lm.jsonl"
        conda:
            "../envs/speech.yaml"
        threads: 1
        resources:
            **needs("language_model"),
        params:
            code=code("take_lm"),
        script:
            "../scripts/take_lm.py"

else:

    rule estimate_lm:
        input:
            text=f"{R}/lang/lm_text.txt",
            lexicon=f"{R}/lang/lexicon.txt",
        output:
            arpa=f"{R}/lang/lm.arpa",
        log:
            f"{LOGS}/estimate_lm.log",
        benchmark:
            f"{BENCHMARKS}/estimate_lm.jsonl"
        conda:
            "../envs/speech.yaml"
        threads: 1
        resources:
            **needs("language_model"),
        params:
            code=code("estimate_lm"),
            language_model=options("language_model"),
        script:
            "../scripts/estimate_lm.py"


rule estimate_pronunciations:
    input:
        phones=f"{R}/alignments/train/phones.ctm",
        text=f"{R}/data/train/text",
        lexicon=f"{R}/lang/lexicon.txt",
    output:
        PRONUNCIATIONS,
    log:
        f"{LOGS}/estimate_pronunciations.log",
    benchmark:
        f"{BENCHMARKS}/estimate_pronunciations.jsonl"
    conda:
        "../envs/speech.yaml"
    threads: 1
    resources:
        **needs("gmm"),
    params:
        code=code("estimate_pronunciations"),
    script:
        "../scripts/estimate_pronunciations.py"


rule make_graph:
    input:
        model=f"{R}/hmm/{{stage}}/model.npz",
        lexicon=f"{R}/lang/lexicon.txt",
        arpa=f"{R}/lang/lm.arpa",
        probabilities=PRONUNCIATIONS if study.graph.pronunciation_probabilities else [],
    output:
        graph=f"{R}/graph/{{stage}}/HCLG.fst",
        words=f"{R}/graph/{{stage}}/words.txt",
        boundaries=f"{R}/graph/{{stage}}/boundaries.npy",
        tree=f"{R}/graph/{{stage}}/tree.txt",
        checksums=f"{R}/graph/{{stage}}/SHA256SUMS",
    log:
        f"{LOGS}/make_graph/{{stage}}.log",
    benchmark:
        f"{BENCHMARKS}/make_graph/{{stage}}.jsonl"
    conda:
        "../envs/speech.yaml"
    threads: 1
    resources:
        **needs("graph"),
    params:
        code=code("make_graph"),
        graph=options("graph"),
    script:
        "../scripts/make_graph.py"
