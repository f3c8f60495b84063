"""Chooses the training examples that dense networks are trained without."""

from _job import logged

with logged(snakemake.log[0]):
    import json
    from pathlib import Path

    import numpy as np

    from gst.analysis.left_out import choose, metadata
    from gst.artifacts import write_npz
    from gst.recipe import LeaveOut, Recipe

    facts = json.loads(snakemake.params.choice)
    settings = LeaveOut.parse(json.dumps(facts["left_out"]))
    runs = {path: Recipe.parse(json.dumps(recipe)) for path, recipe in facts["runs"].items()}
    choice = choose(
        Path(facts["results"]), settings, facts["dataset"], facts["seeds"], runs, facts["groups"]
    )
    write_npz(
        snakemake.output.left_out,
        {"left_out": choice.left_out, "seeds": np.array(choice.seeds)},
        metadata(settings, choice),
    )
