"""Puts a finished study, its records and its code into one file, an RO-Crate."""

from _job import logged

with logged(snakemake.log[0]):
    import json
    from datetime import UTC, datetime
    from pathlib import Path

    import yaml

    from gst.artifacts import read_table
    from gst.crate import Study, write_crate
    from gst.provenance import environment

    home = Path(snakemake.params.home)
    study = Study(
        settings=json.loads(snakemake.params.study),
        citation=yaml.safe_load((home / "CITATION.cff").read_text(encoding="utf-8")),
        jobs=read_table(snakemake.input.jobs),
        versions=environment()["versions"],
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    files = [Path(file) for file in snakemake.input.results]
    write_crate(Path(snakemake.output.crate), study, home, files)
