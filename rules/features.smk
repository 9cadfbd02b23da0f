"""Waveforms to MFCC for the GMM and log-mel filter banks for the networks.

Inputs: data/{set}/wav.scp and the audio, or feature archives made elsewhere.
Outputs: features/{set}/{mfcc,fbank}.{ark,scp} and CMVN statistics per speaker.
"""


rule extract_features:
    input:
        unpack(given_features),
        audio=f"{R}/data/{{set}}/audio",
        wav=f"{R}/data/{{set}}/wav.scp",
        utt2spk=f"{R}/data/{{set}}/utt2spk",
    output:
        mfcc=multiext(f"{R}/features/{{set}}/mfcc", ".ark", ".scp", ".crc"),
        fbank=multiext(f"{R}/features/{{set}}/fbank", ".ark", ".scp", ".crc"),
        cmvn_mfcc=multiext(f"{R}/features/{{set}}/cmvn_mfcc", ".ark", ".scp", ".crc"),
        cmvn_fbank=multiext(f"{R}/features/{{set}}/cmvn_fbank", ".ark", ".scp", ".crc"),
    log:
        f"{LOGS}/extract_features/{{set}}.log",
    benchmark:
        f"{BENCHMARKS}/extract_features/{{set}}.jsonl"
    conda:
        "../envs/speech.yaml"
    threads: 1
    resources:
        mem="2GB",
        runtime="1h",
    params:
        **({"roots": [study.data_root]} if study.given_features("train") else {}),
        code=code("extract_features"),
        features=options("features"),
    script:
        "../scripts/extract_features.py"
