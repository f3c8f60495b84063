"""Scores every training example by EL2N."""

from _job import logged

with logged(snakemake.log[0], threads=snakemake.threads):
    from pathlib import Path

    import numpy as np

    from gst.artifacts import write_npz
    from gst.data.loaded import load, load_labels
    from gst.measures.influence import over_networks, score_examples
    from gst.recipe import Recipe, jsonable
    from gst.training.hardware import device
    from gst.training.processes import join, launch, launched, leave

    dataset = load(Path(snakemake.input.info).parent, snakemake.params.data_root)
    gpus = int(snakemake.resources.get("gpu", 0))
    if dataset.stream and gpus > 1 and not launched():
        launch(snakemake.resources.get("mpi"), gpus)
    processes = join()
    recipe = Recipe.parse(snakemake.params.recipe)
    labels = load_labels(snakemake.input.labels)
    networks = int(snakemake.params.networks)
    scores = score_examples(
        recipe,
        networks,
        dataset,
        labels,
        device(gpus),
        Path(snakemake.params.checkpoints, Path(snakemake.output.scores).stem),
        snakemake.params.code,
        processes,
    )
    if not processes.rank:
        write_npz(
            snakemake.output.scores,
            {"scores": scores, **over_networks(scores), "seeds": np.array(labels.seeds)},
            {"recipe": jsonable(recipe), "networks": networks, "epoch": recipe.training.epochs},
        )
    leave()
