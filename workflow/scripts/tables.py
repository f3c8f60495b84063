"""Makes the tidy tables of one benchmark from the files of its runs."""

from _job import logged

with logged(snakemake.log[0]):
    import json
    from pathlib import Path

    from gst.analysis.tables import regularization_tables, stability_tables
    from gst.artifacts import write_table
    from gst.recipe import Recipe

    facts = json.loads(snakemake.params.analysis)
    results = Path(facts["results"])
    runs = {path: Recipe.parse(json.dumps(recipe)) for path, recipe in facts["runs"].items()}
    if facts["study"] == "regularization":
        tables = regularization_tables(results, runs, facts["groups"], facts["flatness"])
    else:
        measured = facts["flatness"], facts["activations"]
        tables = stability_tables(results, runs, *measured, facts["groups"])
    for name, path in snakemake.output.items():
        write_table(path, tables[name])
