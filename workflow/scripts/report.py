"""Writes the page that shows everything: figures, tables, verdicts, how it was run."""

from _job import logged

with logged(snakemake.log[0]):
    import json
    from pathlib import Path

    from gst.artifacts import read_table
    from gst.report import write_report

    tables = {
        name: read_table(snakemake.input[name])
        for name in ("runs", "jobs", "levels", "selected", "claims")
        if name in snakemake.input.keys()  # noqa: SIM118
    }
    study = json.loads(snakemake.params.study)
    figures = {Path(path): study["figures"][Path(path).stem] for path in snakemake.input.png}
    write_report(Path(snakemake.output.page), study, tables, figures)
