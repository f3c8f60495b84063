"""Scores every training example by EL2N."""

from _job import gpus, logged, scratch

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
    given = gpus(snakemake.resources)
    if dataset.stream and given > 1 and not launched():
        launch(snakemake.resources.get("mpi"), given)
    processes = join()
    recipe = Recipe.parse(snakemake.params.recipe)
    labels = load_labels(snakemake.input.labels)
    networks = int(snakemake.params.networks)
    scores = score_examples(
        recipe,
        networks,
        dataset,
        labels,
        device(given),
        scratch(snakemake.resources, snakemake.params.checkpoints)
        / "el2n/{benchmark}/noise-{percent}/{cohort}".format(**snakemake.wildcards),
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
