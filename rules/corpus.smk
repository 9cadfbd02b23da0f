"""Raw audio and transcripts to a Kaldi data directory per set, a lexicon and text for the LM.

Inputs: the corpus section of the study.
Outputs: data/{set}/{wav.scp,text,utt2spk,utt2cond,utt2dur,audio/}, lang/{lexicon.txt,lm_text.txt}
The text is not there where the corpus gives a language model.
"""


rule make_language:
    output:
        **({} if study.arpa else {"lm_text": f"{R}/lang/lm_text.txt"}),
        lexicon=f"{R}/lang/lexicon.txt",
    log:
        f"{LOGS}/make_language.log",
    benchmark:
        f"{BENCHMARKS}/make_language.jsonl"
    conda:
        "../envs/speech.yaml"
    threads: 1
    resources:
        **needs("make_language"),
    params:
        code=code("make_language"),
        corpus=study.corpus_options(),
    script:
        "../scripts/make_language.py"


rule make_set:
    output:
        audio=directory(f"{R}/data/{{set}}/audio"),
        wav=f"{R}/data/{{set}}/wav.scp",
        text=f"{R}/data/{{set}}/text",
        utt2spk=f"{R}/data/{{set}}/utt2spk",
        utt2cond=f"{R}/data/{{set}}/utt2cond",
        utt2dur=f"{R}/data/{{set}}/utt2dur",
    log:
        f"{LOGS}/make_set/{{set}}.log",
    benchmark:
        f"{BENCHMARKS}/make_set/{{set}}.jsonl"
    conda:
        "../envs/speech.yaml"
    threads: 1
    resources:
        **needs("make_set"),
    params:
        code=code("make_set"),
        corpus=study.corpus_options(language=False),
    script:
        "../scripts/make_set.py"
