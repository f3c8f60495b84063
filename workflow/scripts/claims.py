"""Holds the papers' claims against the tables, under both protocols."""

from _job import logged

with logged(snakemake.log[0]):
    import json

    from gst.analysis.claims import evaluate, load_claims
    from gst.artifacts import read_table, write_table

    facts = json.loads(snakemake.params.study)
    tables = {name: read_table(path) for name, path in snakemake.input.items() if name != "claims"}
    stand_ins = {paper: own for own, papers in facts["stand_ins"].items() for paper in papers}
    claims = load_claims(snakemake.input.claims)
    verdicts, clean = (
        evaluate(claims, tables, facts["scales"], stand_ins, protocol)
        for protocol in ("published", "clean")
    )
    verdicts["clean_measured"], verdicts["clean_verdict"] = clean["measured"], clean["verdict"]
    write_table(snakemake.output.claims, verdicts)
