"""Waveforms to MFCC for the GMM and log-mel filter banks for the networks.

Inputs: data/{set}/wav.scp and the audio, or feature archives made elsewhere.
Outputs: features/{set}/{mfcc,fbank}.{ark,scp} and CMVN statistics per speaker. Where the study
divides sets among jobs, these are put together from features/{set}/part{part}of{parts}/.
"""

FEATURE_JOBS = study.jobs.features
AUDIO = {
    "audio": f"{R}/data/{{set}}/audio",
    "wav": f"{R}/data/{{set}}/wav.scp",
    "utt2spk": f"{R}/data/{{set}}/utt2spk",
}
EXTRACTED = {
    name: multiext(f"{R}/features/{{set}}/{name}", ".ark", ".scp", ".crc")
    for name in ("mfcc", "fbank", "cmvn_mfcc", "cmvn_fbank")
}
EXTRACTION = {
    **({"roots": [study.data_root]} if study.given_features("train") else {}),
    "features": options("features"),
}


rule extract_features:
    input:
        unpack(given_features),
        **AUDIO,
    output:
        **EXTRACTED,
    log:
        f"{LOGS}/extract_features/{{set}}.log",
    benchmark:
        f"{BENCHMARKS}/extract_features/{{set}}.jsonl"
    wildcard_constraints:
        set=either(SETS if FEATURE_JOBS == 1 else []),
    conda:
        "../envs/speech.yaml"
    threads: 1
    resources:
        **needs("features"),
    params:
        **EXTRACTION,
        code=code("extract_features"),
    script:
        "../scripts/extract_features.py"


rule extract_part:
    input:
        unpack(given_features),
        **AUDIO,
    output:
        folder=temp(directory(f"{R}/features/{{set}}/part{{part}}of{FEATURE_JOBS}")),
    log:
        f"{LOGS}/extract_part/{{set}}.{{part}}.log",
    benchmark:
        f"{BENCHMARKS}/extract_part/{{set}}.{{part}}.jsonl"
    conda:
        "../envs/speech.yaml"
    threads: 1
    resources:
        **needs("features"),
    params:
        **EXTRACTION,
        code=code("extract_part"),
        parts=FEATURE_JOBS,
    script:
        "../scripts/extract_part.py"


rule gather_features:
    input:
        **AUDIO,
        parts=[
            f"{R}/features/{{set}}/part{part}of{FEATURE_JOBS}"
            for part in range(1, FEATURE_JOBS + 1)
        ],
    output:
        **EXTRACTED,
    log:
        f"{LOGS}/gather_features/{{set}}.log",
    benchmark:
        f"{BENCHMARKS}/gather_features/{{set}}.jsonl"
    wildcard_constraints:
        set=either(SETS if FEATURE_JOBS > 1 else []),
    conda:
        "../envs/speech.yaml"
    threads: 1
    resources:
        **needs("features"),
    params:
        code=code("gather_features"),
    script:
        "../scripts/gather_features.py"
