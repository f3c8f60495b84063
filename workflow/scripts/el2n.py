"""Scores every training example by EL2N."""

from _job import logged

with logged(snakemake.log[0], threads=snakemake.threads):
    from pathlib import Path

    from gst.data.loaded import load, load_labels
    from gst.measures.influence import Scoring, score_examples
    from gst.recipe import Recipe
    from gst.training.hardware import device
    from gst.training.processes import join, launch, launched, leave

    dataset = load(Path(snakemake.input.info).parent, snakemake.params.data_root)
    gpus = int(snakemake.resources.get("gpu", 0))
    if dataset.stream and gpus > 1 and not launched():
        launch(snakemake.resources.get("mpi"), gpus)
    processes = join()
    scores = Path(snakemake.output.scores)
    job = Scoring(
        recipe=Recipe.parse(snakemake.params.recipe),
        networks=int(snakemake.params.networks),
        file=scores,
        checkpoints=Path(snakemake.params.checkpoints, scores.stem),
        code=snakemake.params.code,
        device=device(gpus),
        processes=processes,
    )
    score_examples(job, dataset, load_labels(snakemake.input.labels))
    leave()
