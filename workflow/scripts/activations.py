"""Measures how batch-normalised activations are distributed, before and after training."""

from _job import gpus, logged

with logged(snakemake.log[0], threads=snakemake.threads):
    from pathlib import Path

    from gst.artifacts import write_npz
    from gst.data.loaded import load
    from gst.layout import Cohort
    from gst.measures.activations import measure_activations
    from gst.recipe import Activations, Recipe
    from gst.training.hardware import device
    from gst.training.usage import Usage

    where = device(gpus(snakemake.resources))
    usage = Usage(where)
    arrays, meta = measure_activations(
        Path(snakemake.input.weights),
        load(Path(snakemake.input.info).parent),
        Recipe.parse(snakemake.params.recipe),
        Activations.parse(snakemake.params.activations),
        Cohort.parse(snakemake.wildcards.cohort).seeds,
        where,
    )
    meta |= {"code": snakemake.params.code, **usage.record()}
    write_npz(snakemake.output.activations, arrays, meta)
