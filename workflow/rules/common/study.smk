"""What several rules share: look-ups in the study, paths, and the code that a result depends on."""

import gc
import json
import os
import re
from dataclasses import replace
from functools import cache

from gst.datasets import SOURCES, reader, whole
from gst.layout import EARLY, labels_path, left_out_path
from gst.provenance import fingerprint

# Nearly all of a large graph of jobs stays until the end, so that looking for garbage as often as
# usual is a waste: of a tenth of the time that planning takes.
gc.set_threshold(100_000)

RUN = "{study}/{benchmark}/noise-{percent}/{method}/level-{level}/{cohort}"
RECIPES = {str(path): recipe for path, recipe in study.recipes.items()}
LABELS = {
    labels_path(recipe.dataset, recipe.labels, path.cohort): recipe.labels
    for path, recipe in study.recipes.items()
}
EL2N = {f"{job.benchmark}/noise-{job.percent}/{job.cohort}": job for job in study.el2n()}
FLATNESS = {str(job.path): job.settings for job in study.flatness()}
ACTIVATIONS = {str(job.path): job.settings for job in study.activations()}

# Runs that the next level of the same method starts from.
CONTINUED = {
    str(replace(path, level=path.level - 1))
    for path, recipe in study.recipes.items()
    if (before := recipe.previous()) and before.level
}

LEFT_OUT = {left_out_path(path): path for path, recipe in study.recipes.items() if recipe.left_out}

# Whose weights stay: those of dense networks, of the stability study, and of all others.
KEPT = {
    "all": ("dense", "stability", "other"),
    "needed": ("dense", "stability"),
    "none": (),
}[study.keep_weights]
# Methods that prune between levels.
PRUNED = sorted(
    {name for each in study.benchmarks.values() for name in getattr(each, "chains", ())}
)
# Methods that train without some examples.
LEAVING_OUT = sorted({path.method for path in LEFT_OUT.values()})


wildcard_constraints:
    study="regularization|stability",
    benchmark="|".join(map(re.escape, study.benchmarks)),
    dataset="|".join(map(re.escape, study.datasets)),
    percent=r"[\d.]+",
    method="[^/]+",
    level=r"\d+",
    cohort=r"seeds-\d+-\d+",


def machine(value):
    """Return a param on which no result depends.

    Snakemake leaves params that take `threads` out when it looks for changes.
    """
    return lambda wildcards, threads: value


def canonical(value):
    """Return the one JSON text of plain values; see `gst.recipe.Frozen.canonical`."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


@cache
def code(script, *names):
    """Return the fingerprint of a script; names are pairs of registry package and name."""
    uses = {}
    for package, name in names:
        uses.setdefault(package, []).append(name)
    return fingerprint(HOME / "workflow/scripts" / script, uses)
