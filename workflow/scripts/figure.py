"""Draws one figure, and writes the numbers that it shows and its caption."""

from _job import logged

with logged(snakemake.log[0]):
    from pathlib import Path

    from gst.analysis.tables import merged
    from gst.artifacts import atomic, read_table, write_table
    from gst.figures.style import save
    from gst.registry import load

    figure = load("gst.figures", snakemake.params.kind)
    tables = {
        name: merged([read_table(path) for path in paths])
        for name, paths in snakemake.input.items()
    }
    table = figure.summarise(**tables)
    save(figure.draw(table), Path(snakemake.output.pdf).with_suffix(""))
    write_table(snakemake.output.table, table)
    with atomic(snakemake.output.caption) as temporary:
        temporary.write_text(figure.caption(table) + "\n", encoding="utf-8")
