"""An acoustic model and HCLG to hypotheses: scale and beam from dev, then every test condition.

A system is a GMM stage (`mono`) or a run with its seed (`rnn-0/seed1`).

Inputs: the model, graph/{stage}/HCLG.fst, features/{dev,test}
Outputs: decode/{system}/{tuning.json,hypotheses.trn,hypotheses.ctm,score.json}, put together from
part{part}of{parts}.json where the study divides the test set among jobs; speed.json where a table
has its columns; on demand
scores/{system}/{set}.{ark,scp}, what Kaldi's decoders need beside the graph; and
with a lattice beam decode/{system}/{lattices.npz,nbest.txt,nbest_costs.txt,lattice_score.json},
and lattices.txt, the lattices for Kaldi's tools
"""

DECODING_JOBS = study.jobs.decoding
RECOGNISED = {
    "trn": f"{R}/decode/{{system}}/hypotheses.trn",
    "ctm": f"{R}/decode/{{system}}/hypotheses.ctm",
    "score": f"{R}/decode/{{system}}/score.json",
}


rule tune_decoding:
    input:
        unpack(system_features("dev")),
        unpack(system_graph),
        text=f"{R}/data/dev/text",
        model=acoustic_model,
    output:
        tuning=f"{R}/decode/{{system}}/tuning.json",
    log:
        f"{LOGS}/tune_decoding/{{system}}.log",
    benchmark:
        f"{BENCHMARKS}/tune_decoding/{{system}}.jsonl"
    conda:
        "../envs/speech.yaml"
    threads: lambda wildcards: 2 if wildcards.system == "tri3b" else 1  # networks wait for it
    resources:
        **needs("tune"),
    params:
        code=code("tune_decoding"),
        adaptation=system_adaptation,
        decoding=search_options(),
    script:
        "../scripts/tune_decoding.py"


rule decode:
    input:
        unpack(system_features("test")),
        unpack(system_graph),
        text=f"{R}/data/test/text",
        utt2cond=f"{R}/data/test/utt2cond",
        model=acoustic_model,
        tuning=f"{R}/decode/{{system}}/tuning.json",
    output:
        **RECOGNISED,
    log:
        f"{LOGS}/decode/{{system}}.log",
    benchmark:
        f"{BENCHMARKS}/decode/{{system}}.jsonl"
    wildcard_constraints:
        system=either(SYSTEMS if DECODING_JOBS == 1 else []),
    conda:
        "../envs/speech.yaml"
    threads: 1
    resources:
        **needs("decode"),
    params:
        code=code("decode"),
        adaptation=system_adaptation,
        decoding=search_options(),
        frame_shift=study.features.frame_shift,
    script:
        "../scripts/decode.py"


rule decode_part:
    input:
        unpack(system_features("test")),
        unpack(system_graph),
        utt2spk=f"{R}/data/test/utt2spk",
        model=acoustic_model,
        tuning=f"{R}/decode/{{system}}/tuning.json",
    output:
        hypotheses=temp(f"{R}/decode/{{system}}/part{{part}}of{DECODING_JOBS}.json"),
    log:
        f"{LOGS}/decode_part/{{system}}.{{part}}.log",
    benchmark:
        f"{BENCHMARKS}/decode_part/{{system}}.{{part}}.jsonl"
    conda:
        "../envs/speech.yaml"
    threads: 1
    resources:
        **needs("decode"),
    params:
        code=code("decode_part"),
        adaptation=system_adaptation,
        decoding=search_options(),
        parts=DECODING_JOBS,
    script:
        "../scripts/decode_part.py"


rule gather_hypotheses:
    input:
        parts=[
            f"{R}/decode/{{system}}/part{part}of{DECODING_JOBS}.json"
            for part in range(1, DECODING_JOBS + 1)
        ],
        text=f"{R}/data/test/text",
        utt2cond=f"{R}/data/test/utt2cond",
    output:
        **RECOGNISED,
    log:
        f"{LOGS}/gather_hypotheses/{{system}}.log",
    benchmark:
        f"{BENCHMARKS}/gather_hypotheses/{{system}}.jsonl"
    wildcard_constraints:
        system=either([*(SYSTEMS if DECODING_JOBS > 1 else []), *ADAPTED_SYSTEMS]),
    conda:
        "../envs/speech.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        code=code("gather_hypotheses"),
        frame_shift=study.features.frame_shift,
    script:
        "../scripts/gather_hypotheses.py"


rule measure_speed:
    input:
        unpack(system_features("test")),
        unpack(system_graph),
        utt2spk=f"{R}/data/test/utt2spk",
        model=acoustic_model,
        tuning=f"{R}/decode/{{system}}/tuning.json",
    output:
        speed=f"{R}/decode/{{system}}/speed.json",
    log:
        f"{LOGS}/measure_speed/{{system}}.log",
    benchmark:
        f"{BENCHMARKS}/measure_speed/{{system}}.jsonl"
    conda:
        "../envs/speech.yaml"
    threads: 1
    resources:
        **needs("decode"),
    params:
        code=code("measure_speed"),
        adaptation=system_adaptation,
        frame_shift=study.features.frame_shift,
    script:
        "../scripts/measure_speed.py"


rule write_scores:
    input:
        unpack(system_features()),
        model=acoustic_model,
        tuning=f"{R}/decode/{{system}}/tuning.json",
    output:
        scores=multiext(f"{R}/scores/{{system}}/{{set}}", ".ark", ".scp", ".crc"),
    log:
        f"{LOGS}/write_scores/{{system}}/{{set}}.log",
    benchmark:
        f"{BENCHMARKS}/write_scores/{{system}}/{{set}}.jsonl"
    conda:
        "../envs/speech.yaml"
    threads: 1
    resources:
        **needs("decode"),
    params:
        code=code("write_scores"),
    script:
        "../scripts/write_scores.py"


rule make_lattices:
    input:
        unpack(system_features("test")),
        unpack(system_features("dev", "dev_")),
        unpack(system_graph),
        text=f"{R}/data/test/text",
        utt2cond=f"{R}/data/test/utt2cond",
        dev_text=f"{R}/data/dev/text",
        model=acoustic_model,
        tuning=f"{R}/decode/{{system}}/tuning.json",
        score=f"{R}/decode/{{system}}/score.json",
    output:
        lattices=f"{R}/decode/{{system}}/lattices.npz",
        nbest=f"{R}/decode/{{system}}/nbest.txt",
        costs=f"{R}/decode/{{system}}/nbest_costs.txt",
        score=f"{R}/decode/{{system}}/lattice_score.json",
    log:
        f"{LOGS}/make_lattices/{{system}}.log",
    benchmark:
        f"{BENCHMARKS}/make_lattices/{{system}}.jsonl"
    conda:
        "../envs/speech.yaml"
    threads: 1
    resources:
        **needs("lattices"),
    params:
        code=code("make_lattices"),
        adaptation=system_adaptation,
        decoding=options("decoding"),
    script:
        "../scripts/make_lattices.py"


rule write_kaldi_lattices:
    input:
        unpack(system_graph),
        lattices=f"{R}/decode/{{system}}/lattices.npz",
    output:
        text=f"{R}/decode/{{system}}/lattices.txt",
    log:
        f"{LOGS}/write_kaldi_lattices/{{system}}.log",
    benchmark:
        f"{BENCHMARKS}/write_kaldi_lattices/{{system}}.jsonl"
    conda:
        "../envs/speech.yaml"
    threads: 1
    resources:
        **needs("lattices"),
    params:
        code=code("write_kaldi_lattices"),
    script:
        "../scripts/write_kaldi_lattices.py"
