"""Puts each kind of table together over all benchmarks."""

from _job import logged

with logged(snakemake.log[0]):
    from gst.analysis.tables import merged
    from gst.artifacts import read_table, write_table

    tables = {
        name: merged([read_table(path) for path in paths])
        for name, paths in snakemake.input.items()
    }
    tables["runs_csv"] = tables["runs"]
    for name, path in snakemake.output.items():
        write_table(path, tables[name])
