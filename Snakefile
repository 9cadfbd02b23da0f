"""From raw audio to tables of word error rates, for acoustic models that teach each other."""

import gc
import re
from pathlib import Path

# Planning makes many objects and drops few: to look for dropped ones takes a tenth of its time.
gc.set_threshold(1_000_000)

from snakemake.utils import min_version

min_version("9.0")

from darkknowledge.errors import DataError
from darkknowledge.fingerprint import remember
from darkknowledge.locks import claim_results
from darkknowledge.overlays import read_studies
from darkknowledge.scheduling import look_when_jobs_end
from darkknowledge.study import StudyError, load_study


configfile: "config.yaml"


report: "report/workflow.rst"


try:
    if workflow.is_main_process:
        read_studies(workflow.configfiles)
    study = load_study(config)
except (DataError, StudyError) as error:
    raise WorkflowError(str(error)) from None


if workflow.is_main_process and study.absent():
    logger.warning(
        "\n".join(["The corpus is not here: this can be planned, not run.", *study.absent()])
    )


onstart:
    if study.absent():
        raise WorkflowError("\n".join(study.absent()))
    try:
        claim_results(Path("results") / study.name)
    except DataError as error:
        raise WorkflowError(str(error)) from None
    look_when_jobs_end(workflow)


onsuccess:
    partial = Path(R, "partial.txt")
    partial.unlink(missing_ok=True)


onerror:
    # imported here, as tables need pandas
    from darkknowledge.files import write_text
    from darkknowledge.slurm_kills import killed_jobs
    from darkknowledge.tables import partial_tables

    there = partial_tables({name: table_spec(name) for name in TABLES})
    if there:
        write_text(Path(R, "partial.txt"), there)
        logger.error(f"What there is, with gaps (also in {R}/partial.txt):\n\n{there}")
    for file in log:
        for kill in killed_jobs(file):
            logger.error(str(kill))


include: "rules/common.smk"
include: "rules/corpus.smk"
include: "rules/features.smk"
include: "rules/alignments.smk"
include: "rules/graph.smk"
include: "rules/adaptation.smk"
include: "rules/networks.smk"
include: "rules/soft_targets.smk"
include: "rules/sequence.smk"
include: "rules/decoding.smk"
include: "rules/speakers.smk"
include: "rules/export.smk"
include: "rules/landscapes.smk"
include: "rules/results.smk"
include: "rules/targets.smk"


if workflow.is_main_process:
    remember(ROOT)


rule all:
    default_target: True
    input:
        f"{R}/summary.txt",
        LATTICES if study.decoding.lattice_beam is not None else [],
