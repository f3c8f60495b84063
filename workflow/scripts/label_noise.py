"""Draws the labels that one cohort trains on."""

from pathlib import Path

from _job import logged

from gst.data.noise import write_draws
from gst.layout import Cohort
from gst.recipe import LabelNoise

with logged(snakemake.log[0]):
    write_draws(
        Path(snakemake.output[0]),
        Path(snakemake.input.info).parent,
        LabelNoise.parse(snakemake.params.noise),
        Cohort.parse(snakemake.wildcards.cohort).seeds,
    )
