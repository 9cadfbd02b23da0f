"""A trained network and the words of the training set to the lattices of sequence training.

Inputs: networks/{run}/seed{seed}/model.pt, decode/{run}/seed{seed}/tuning.json, features and
alignments of the training and the dev set
Outputs: graph/competitors/{HCLG.fst,words.txt,boundaries.npy,tree.txt}, whose language model is that of the
words of the training set one by one; sequence/{run}/seed{seed}/lattices.npz
"""


rule make_competitor_graph:
    input:
        model=f"{R}/hmm/{study.hmm.aligner}/model.npz",
        lexicon=f"{R}/lang/lexicon.txt",
        text=f"{R}/data/train/text",
    output:
        graph=f"{R}/graph/competitors/HCLG.fst",
        words=f"{R}/graph/competitors/words.txt",
        boundaries=f"{R}/graph/competitors/boundaries.npy",
        tree=f"{R}/graph/competitors/tree.txt",
        checksums=f"{R}/graph/competitors/SHA256SUMS",
    log:
        f"{LOGS}/make_competitor_graph.log",
    benchmark:
        f"{BENCHMARKS}/make_competitor_graph.jsonl"
    conda:
        "../envs/speech.yaml"
    threads: 1
    resources:
        **needs("graph"),
    params:
        code=code("make_competitor_graph"),
        graph={**options("graph"), "pronunciation_probabilities": False},
        unknown=study.language_model.unknown,
    script:
        "../scripts/make_competitor_graph.py"


rule make_training_lattices:
    input:
        unpack(network_features),
        **graph_of("competitors"),
        model=f"{R}/networks/{{run}}/seed{{seed}}/model.pt",
        tuning=f"{R}/decode/{{run}}/seed{{seed}}/tuning.json",
        hmm=f"{R}/hmm/{study.hmm.aligner}/model.npz",
        train_alignments=f"{R}/alignments/train/pdf.scp",
        dev_alignments=f"{R}/alignments/dev/pdf.scp",
    output:
        lattices=f"{R}/sequence/{{run}}/seed{{seed}}/lattices.npz",
    log:
        f"{LOGS}/make_training_lattices/{{run}}.seed{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/make_training_lattices/{{run}}.seed{{seed}}.jsonl"
    priority: 30
    conda:
        "../envs/speech.yaml"
    threads: 1
    resources:
        **needs("training_lattices"),
    params:
        code=code("make_training_lattices"),
        sequence=options("sequence"),
    script:
        "../scripts/make_training_lattices.py"
