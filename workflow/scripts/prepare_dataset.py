"""Prepares one dataset: train.npz, test.npz and dataset.json."""

from pathlib import Path

from _job import logged

from gst.data.prepare import prepare
from gst.datasets import parse_source

with logged(snakemake.log[0]):
    prepare(
        parse_source(snakemake.params.source),
        snakemake.wildcards.dataset,
        snakemake.params.data_root,
        Path(snakemake.output.info).parent,
    )
