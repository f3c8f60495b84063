"""What several rules share: look-ups in the study, paths, and the code that a result depends on."""

import gc
import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from functools import cache
from typing import NamedTuple

from gst import registry
from gst.config.benchmarks import SCORES
from gst.datasets import SOURCES, check_available, local_files, reader, whole
from gst.layout import EARLY, labels_path, left_out_path
from gst.provenance import fingerprint
from snakemake.iocontainers import Wildcards

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

KEPT = {
    "all": ("dense", "pruned", "extended", "width", "leave_out", "stability"),
    "needed": ("dense", "stability"),
    "none": (),
}[study.keep_weights]
# Methods that prune between levels.
PRUNED = sorted(
    {name for each in study.benchmarks.values() for name in getattr(each, "chains", ())}
)
# Methods that train without some examples.
LEAVING_OUT = sorted({path.method for path in LEFT_OUT.values()})
TABLES = {
    "regularization": (
        *("runs", "jobs", "levels", "selected"),
        *("subgroups", "subgroup_levels", "el2n"),
        *("left_out", "pictures", "flatness", "accounts"),
    ),
    "stability": (
        *("runs", "jobs", "curves", "flatness"),
        *("correlations", "spectra", "scans", "activations"),
        *("subgroups", "el2n", "accounts"),
    ),
}
LARGE = ("runs", "subgroup_levels", "curves", "spectra", "scans", "activations", "pictures")
MERGED_OVER_BENCHMARKS = (
    *("runs", "jobs", "levels", "selected", "subgroups", "subgroup_levels", "el2n"),
    *("left_out", "curves", "flatness", "correlations", "accounts"),
)


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


def check_data(jobs):
    """Stop before any job runs if a dataset that one of them prepares cannot be had."""
    names = [job.wildcards.dataset for job in jobs if job.rule.name == "prepare_dataset"]
    faults = [check_available(study.datasets[name], name, study.data_root) for name in names]
    if any(faults):
        raise WorkflowError("\n".join(["Data are missing.", *sum(faults, [])]))


def check_processes(jobs):
    """Stop before any job runs if one is to start another number of processes than it has GPUs."""
    for job in jobs:
        given = job.resources if "mpi" in job.rule.resources else {}
        if given.get("mpi") and given.get("tasks") != given.get("gpu"):
            raise WorkflowError(
                f"set-resources of {job.rule.name}: mpi starts one process a GPU, so that tasks "
                f"must equal gpu; found tasks {given.get('tasks')} and gpu {given.get('gpu')}."
            )


def check_jobs_left():
    """Stop before any job runs if jobs of a workflow that was killed still work in this folder.

    They would write, and if they fail delete, the same files.
    """
    if not shutil.which("squeue"):
        return
    command = ["squeue", "--me", "--noheader", "--format=%i|%k|%Z"]  # id, comment, folder
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and workflow.non_local_exec:
        raise WorkflowError(f"SLURM does not answer: {done.stderr.strip()}")
    found = [line.split("|", 2) for line in done.stdout.splitlines()]
    left = [
        job
        for job, comment, folder in found
        if comment.startswith("rule_") and os.path.realpath(folder) == os.path.realpath(".")
    ]
    if left:
        raise WorkflowError(
            "SLURM jobs of a workflow that has ended still work in this folder: "
            f"{' '.join(left)}. They would write the same files as new ones. Start again when "
            f"they have finished (`squeue --me`), or end them first: scancel {' '.join(left)}"
        )


def own_arrays(wildcards):
    """Return a user's own .npz files, so that replacing them is noticed."""
    source = whole(study.datasets[wildcards.dataset])
    files = local_files(source, study.data_root) if source.kind == "npz" else []
    return [str(file) for file in files if file.is_file()]


# Training


def planned(jobs, place):
    """Return what the study plans at a place below results/runs, results/el2n, ..."""
    if place not in jobs:
        raise WorkflowError(f"{place} is not part of the study; check its level, noise and seeds.")
    return jobs[place]


def recipe_of(wildcards):
    """Return the recipe of a training run."""
    return planned(RECIPES, RUN.format(**wildcards))


def scoring_of(wildcards):
    """Return the job that scores the examples of a benchmark."""
    return planned(EL2N, "{benchmark}/noise-{percent}/{cohort}".format(**wildcards))


def prepared(dataset):
    """Return the files of a prepared dataset.

    The checksums of both splits are in dataset.json, which is small, so that Snakemake compares its
    contents: images that are new, but the same, train nothing again.
    """
    folder = f"{study.results}/data/{dataset}"
    return {
        "train": ancient(f"{folder}/train.npz"),
        "test": ancient(f"{folder}/test.npz"),
        "info": f"{folder}/dataset.json",
    }


def data_of(recipe, cohort):
    """Return the images and the labels that a cohort of a recipe trains on."""
    labels = labels_path(recipe.dataset, recipe.labels, cohort)
    return {**prepared(recipe.dataset), "labels": f"{study.results}/{labels}"}


def training_data(wildcards):
    """Return what a training run, or a measurement on one, trains on."""
    return data_of(recipe_of(wildcards), wildcards.cohort)


def measured_weights(wildcards):
    """Return the weights that flatness is measured on, with those before a run's last epoch."""
    folder = f"{study.results}/runs/{RUN.format(**wildcards)}"
    files = {"weights": f"{folder}/weights.safetensors"}
    if wildcards.study == "stability":
        files["snapshots"] = f"{folder}/snapshots"
    return files


def scoring_data(wildcards):
    """Return what the networks that score examples train on."""
    return data_of(scoring_of(wildcards).recipe, wildcards.cohort)


def level_before(wildcards):
    """Return the files that a pruned or extended run starts from."""
    recipe = recipe_of(wildcards)

    def run(method, level):
        folder = RUN.format(**{**wildcards, "method": method, "level": f"{level:02d}"})
        return f"{study.results}/runs/{folder}"

    level = recipe.previous().level
    start = run(wildcards.method if level else "dense", level)
    files = {"start": f"{start}/weights.safetensors", "previous": f"{start}/run.json"}
    if recipe.early():
        files["early"] = f"{run(EARLY, 0)}/weights.safetensors"
    return files


def goes_on(wildcards, threads):
    """Return whether the next level of the same method starts from a run.

    Its checkpoint then stays: the levels of a method may be one cluster job, and if that fails,
    Snakemake deletes what all of them wrote and runs them again.
    """
    return RUN.format(**wildcards) in CONTINUED


def ended(wildcards, threads):
    """Return the runs that a last level ends the chain of, whose checkpoints may go."""
    if goes_on(wildcards, threads):
        return []
    levels = (f"{level:02d}" for level in range(1, int(wildcards.level)))
    runs = (RUN.format(**{**wildcards, "level": level}) for level in levels)
    return [run for run in runs if run in CONTINUED]


def left_out_of(wildcards):
    """Return the file of the examples that a run is trained without."""
    return {
        "left_out": "{results}/left_out/{benchmark}/noise-{percent}/{method}.npz".format(
            results=study.results, **wildcards
        )
    }


def choice_of(wildcards):
    """Return which examples are left out: their settings, and the runs that decide."""
    place = "left_out/{benchmark}/noise-{percent}/{method}.npz".format(**wildcards)
    path = planned(LEFT_OUT, place)
    recipe = study.recipes[path]
    benchmark = study.benchmarks[path.benchmark]
    grouped = recipe.left_out.by == "worsened-subgroup"
    start = f"{path.study}/{path.benchmark}/noise-{path.percent}"
    decide = {} if recipe.left_out.by == "random" else RECIPES
    runs = {
        run: json.loads(found.canonical())
        for run, found in decide.items()
        if run.startswith((f"{start}/dense/", f"{start}/pruned/"))
    }
    return {
        "left_out": json.loads(recipe.left_out.canonical()),
        "results": study.results,
        "dataset": recipe.dataset,
        "seeds": list(range(benchmark.replicates)),
        "groups": benchmark.subgroups if grouped else 0,
        "runs": runs,
    }


def choice_files(wildcards):
    """Return the files that decide which examples are left out."""
    choice = choice_of(wildcards)
    if not choice["runs"]:
        return {"info": prepared(choice["dataset"])["info"]}
    cohorts = sorted({os.path.basename(run) for run in choice["runs"]})
    files = finished(choice["runs"])
    if choice["groups"]:
        place = "{benchmark}/noise-{percent}".format(**wildcards)
        files["el2n"] = [f"{study.results}/el2n/{place}/{cohort}.npz" for cohort in cohorts]
    return files


def training_code(wildcards):
    """Return the fingerprint of the code that a run's recipe uses."""
    recipe = recipe_of(wildcards)
    names = [("gst.models", recipe.network.name)]
    if recipe.intervention:
        kind, score = recipe.intervention.kind, recipe.intervention.score
        names += [("gst.training.interventions", kind), (SCORES[kind], score)]
    return code("train.py", *names)


def weights(owner, path):
    """Mark weights as temporary unless the study keeps those of their owner."""
    return path if owner in KEPT else temp(path)


def stays(path):
    """Return whether the weights of a run stay when nothing planned reads them any more."""
    needed = path.study == "stability" or path.method in ("dense", EARLY)
    return study.keep_weights == "all" or (study.keep_weights == "needed" and needed)


# Analysis


def table_file(table):
    """Return the name of a table's file."""
    return f"{table}.parquet" if table in LARGE else f"{table}.csv"


def table_of(name, table):
    """Return the place of one of a benchmark's tables."""
    return f"{study.results}/tables/{study.benchmarks[name].study}/{name}/{table_file(table)}"


def of_benchmark(jobs, wildcards):
    """Return those of the study's jobs, by place, that belong to one benchmark."""
    start = "{study}/{benchmark}/".format(**wildcards)
    return {place: job for place, job in jobs.items() if place.startswith(start)}


def finished(runs):
    """Return the files that analyses read of training runs, and the labels of these."""
    labels = {
        labels_path(recipe.dataset, recipe.labels, os.path.basename(run))
        for run, recipe in ((run, RECIPES[run]) for run in runs)
        if recipe.labels.percent
    }
    return {
        "runs": [f"{study.results}/runs/{run}/run.json" for run in runs],
        "epochs": [f"{study.results}/runs/{run}/epochs.parquet" for run in runs],
        "examples": [f"{study.results}/runs/{run}/examples.npz" for run in runs],
        "labels": sorted(f"{study.results}/{place}" for place in labels),
    }


def measurements(wildcards):
    """Return every file that the tables of a benchmark are made of."""
    runs = of_benchmark(RECIPES, wildcards)
    scores = [place for place in EL2N if place.startswith(f"{wildcards.benchmark}/")]
    pictured = prepared(study.benchmarks[wildcards.benchmark].dataset)
    return {
        **finished(runs),
        "data": list(pictured.values()) if wildcards.study == "regularization" else [],
        "el2n": [f"{study.results}/el2n/{place}.npz" for place in scores],
        "left_out": [
            f"{study.results}/{place}"
            for place, path in LEFT_OUT.items()
            if path.benchmark == wildcards.benchmark
        ],
        **{
            name: [
                f"{study.results}/flatness/{place}/{name}.{suffix}"
                for place in of_benchmark(FLATNESS, wildcards)
            ]
            for name, suffix in (("flatness", "json"), ("spectrum", "npz"))
        },
        "activations": [
            f"{study.results}/activations/{place}/activations.npz"
            for place in of_benchmark(ACTIVATIONS, wildcards)
        ],
    }


def analysis_settings(wildcards):
    """Return what the tables of a benchmark depend on, beside files."""
    runs = of_benchmark(RECIPES, wildcards).items()
    benchmark = study.benchmarks[wildcards.benchmark]
    scored = any(job.benchmark == wildcards.benchmark for job in EL2N.values())
    return canonical(
        {
            "study": wildcards.study,
            "benchmark": wildcards.benchmark,
            "results": study.results,
            "runs": {place: json.loads(recipe.canonical()) for place, recipe in runs},
            "groups": benchmark.subgroups if scored else None,
            "flatness": list(of_benchmark(FLATNESS, wildcards)),
            "activations": list(of_benchmark(ACTIVATIONS, wildcards)),
        }
    )


def merged_tables():
    """Return the tables that are put together over all benchmarks, with their parts."""
    parts = {}
    for name, benchmark in study.benchmarks.items():
        for table in TABLES[benchmark.study]:
            if table in MERGED_OVER_BENCHMARKS:
                parts.setdefault(table, []).append(table_of(name, table))
    return parts


class Figure(NamedTuple):
    """A figure of the study: its registered kind, and the benchmarks that it shows."""

    kind: str
    benchmarks: list


def figures():
    """Return every figure by name: those that benchmarks ask for, or else all that fit them."""
    kinds = registry.entries("gst.figures")
    found = {}
    for name, benchmark in study.benchmarks.items():
        fit = {
            kind: kind
            for kind, entry in kinds.items()
            if entry.facts["study"] == benchmark.study
            and all(map(benchmark.has, entry.facts["needs"]))
        }
        for figure, kind in (fit if benchmark.figures is None else benchmark.figures).items():
            found.setdefault(figure, Figure(kind, [])).benchmarks.append(name)
    return found


def figure_tables(wildcards):
    """Return the tables that a figure draws."""
    kind, names = FIGURES[wildcards.figure]
    tables = registry.find("gst.figures", kind).facts["tables"]
    return {table: [table_of(name, table) for name in names] for table in tables}


def claims_settings():
    """Return what the verdicts depend on, beside tables."""
    benchmarks = study.benchmarks.items()
    return canonical(
        {
            "scales": {name: benchmark.scale for name, benchmark in benchmarks},
            "stand_ins": {name: benchmark.stands_for for name, benchmark in benchmarks},
        }
    )


def report_settings():
    """Return how the report describes the study."""
    files = [os.path.relpath(file) for file in GIVEN]
    return canonical(
        {
            "name": study.name,
            "command": " ".join(["snakemake all", *(f"--configfile {file}" for file in files)]),
            "figures": {name: figure.kind for name, figure in FIGURES.items()},
            "benchmarks": [
                {
                    "name": name,
                    "study": benchmark.study,
                    "scale": benchmark.scale,
                    "stands_for": ", ".join(benchmark.stands_for) or None,
                    "dataset": benchmark.dataset,
                    "network": benchmark.network.name,
                    "noise": getattr(benchmark, "noise", [0]),
                    "methods": [
                        *getattr(benchmark, "methods", getattr(benchmark, "variants", ())),
                        *(getattr(benchmark, "ablations", None) or ()),
                        *(getattr(benchmark, "leave_out", None) or ()),
                    ],
                    "levels": getattr(benchmark, "levels", 0),
                    "seeds": benchmark.replicates,
                }
                for name, benchmark in study.benchmarks.items()
            ],
        }
    )


def archived(wildcards):
    """Return the files of the results that an archive holds."""
    records = [
        file
        for name, benchmark in study.benchmarks.items()
        for files in measurements(
            Wildcards(fromdict={"study": benchmark.study, "benchmark": name})
        ).values()
        for file in files
        if os.path.basename(file) not in ("train.npz", "test.npz")
    ]
    tables = [
        *(
            table_of(name, table)
            for name, own in study.benchmarks.items()
            for table in TABLES[own.study]
        ),
        *(f"{study.results}/tables/{table_file(name)}" for name in MERGED),
        *(f"{study.results}/tables/{figure}.csv" for figure in FIGURES),
    ]
    drawn = expand(
        f"{study.results}/figures/{{figure}}.{{suffix}}",
        figure=FIGURES,
        suffix=["pdf", "png", "txt"],
    )
    pages = ["report.html", "claims.csv", "tables/runs.csv"]
    made = [*tables, *drawn, *(f"{study.results}/{page}" for page in pages)]
    networks = [
        f"{study.results}/runs/{path}/weights.safetensors"
        for path in study.recipes
        if study.archive_weights and stays(path)
    ]
    return sorted({*records, *made, *networks})


MERGED = merged_tables()
FIGURES = figures()
CLAIMS = os.path.relpath(HOME / "config/claims.yaml")
