"""What can be asked for by name: each stage, each table, each landscape."""


rule corpus:
    input:
        expand(f"{R}/data/{{set}}/wav.scp", set=SETS),
        f"{R}/lang/lexicon.txt",


rule features:
    input:
        expand(f"{R}/features/{{set}}/{{kind}}.scp", set=SETS, kind=("mfcc", "fbank")),


rule alignments:
    input:
        expand(f"{R}/alignments/{{set}}/pdf.scp", set=("train", "dev")),


rule graphs:
    input:
        expand(f"{R}/graph/{{stage}}/HCLG.fst", stage=GMM_STAGES),


rule teacher:
    input:
        expand(
            f"{R}/networks/{{run}}/seed{{seed}}/model.pt", run=study.teachers(), seed=study.seeds
        ),


rule students:
    input:
        expand(f"{R}/networks/{{system}}/model.pt", system=RUN_SEEDS),


rule lattices:
    input:
        lattice_scores,


rule tables:
    input:
        list(TABLES.values()),


rule figures:
    input:
        list(FIGURES),


for table in study.tables:

    rule:
        name:
            table
        input:
            f"{R}/tables/{table}.txt",


for landscape, options_of_landscape in study.landscapes.items():

    rule:
        name:
            landscape
        input:
            expand(
                f"{R}/figures/{landscape}/{{picture}}.svg", picture=options_of_landscape.pictures
            ),
