"""Measures the flatness of the loss around every replicate of a cohort."""

from _job import gpus, logged

with logged(snakemake.log[0], threads=snakemake.threads):
    from pathlib import Path

    from gst.artifacts import write_json, write_npz
    from gst.data.loaded import load, load_labels
    from gst.layout import snapshot_name
    from gst.measures.flatness.cohort import measure_cohort
    from gst.recipe import Flatness, Recipe
    from gst.training.hardware import device
    from gst.training.usage import Usage

    where = device(gpus(snakemake.resources))
    usage = Usage(where)
    recipe = Recipe.parse(snakemake.params.recipe)
    settings = Flatness.parse(snakemake.params.flatness)
    weights = Path(snakemake.input.weights)
    if settings.epoch < recipe.training.epochs:
        weights = weights.parent / snapshot_name(settings.epoch)
    record, spectra = measure_cohort(
        weights,
        load(Path(snakemake.input.info).parent),
        load_labels(snakemake.input.labels),
        recipe,
        settings,
        where,
    )
    record["meta"] |= {"code": snakemake.params.code, **usage.record()}
    write_npz(snakemake.output.spectrum, spectra, {"seeds": record["seeds"], **record["meta"]})
    write_json(snakemake.output.flatness, record)
