"""Features, frame labels and soft targets to trained networks: teachers and students alike.

Inputs: features/{train,dev}/{fbank,fmllr}.scp, alignments/{train,dev}/pdf.scp, the teachers'
models and caches, the `soft` run that a `pretrain` run goes on from, the run that another one
starts from and its lattices
Outputs: networks/{run}/seed{seed}/{model.pt,metrics.jsonl,summary.json}; and epochs.pt, the weights
after each epoch, of runs whose path a landscape shows
"""


rule train_network:
    input:
        unpack(training_files),
        train_alignments=f"{R}/alignments/train/pdf.scp",
        dev_alignments=f"{R}/alignments/dev/pdf.scp",
        hmm=f"{R}/hmm/{study.hmm.aligner}/model.npz",
    output:
        model=f"{R}/networks/{{run}}/seed{{seed}}/model.pt",
        metrics=f"{R}/networks/{{run}}/seed{{seed}}/metrics.jsonl",
        summary=f"{R}/networks/{{run}}/seed{{seed}}/summary.json",
    log:
        f"{LOGS}/train_network/{{run}}.seed{{seed}}.log",
    benchmark:
        f"{BENCHMARKS}/train_network/{{run}}.seed{{seed}}.jsonl"
    priority: 20
    conda:
        "../envs/speech.yaml"
    threads: 1
    resources:
        **needs("train"),
        gpu=1,
    params:
        code=code("train_network"),
        run=lambda wildcards: study.run_options(wildcards.run),
    script:
        "../scripts/train_network.py"


use rule train_network as train_network_by_epoch with:
    output:
        model=f"{R}/networks/{{run}}/seed{{seed}}/model.pt",
        metrics=f"{R}/networks/{{run}}/seed{{seed}}/metrics.jsonl",
        summary=f"{R}/networks/{{run}}/seed{{seed}}/summary.json",
        epochs=f"{R}/networks/{{run}}/seed{{seed}}/epochs.pt",
    wildcard_constraints:
        run=either(study.kept_runs),


ruleorder: train_network_by_epoch > train_network
