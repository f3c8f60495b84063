"""Scores every training example by EL2N."""

from _job import gpus, logged, scratch

with logged(snakemake.log[0], threads=snakemake.threads):
    from pathlib import Path

    from gst.data.loaded import load, load_labels
    from gst.measures.influence import Scoring, score_examples
    from gst.recipe import Recipe
    from gst.training.hardware import device
    from gst.training.processes import assemble, leave

    dataset = load(Path(snakemake.input.info).parent, snakemake.params.data_root)
    given = gpus(snakemake.resources)
    processes = assemble(given if dataset.stream else 1, snakemake.resources.get("mpi"))
    job = Scoring(
        recipe=Recipe.parse(snakemake.params.recipe),
        networks=int(snakemake.params.networks),
        file=Path(snakemake.output.scores),
        checkpoints=scratch(snakemake.resources, snakemake.params.checkpoints)
        / "el2n/{benchmark}/noise-{percent}/{cohort}".format(**snakemake.wildcards),
        code=snakemake.params.code,
        device=device(given),
        processes=processes,
    )
    score_examples(job, dataset, load_labels(snakemake.input.labels))
    leave()
