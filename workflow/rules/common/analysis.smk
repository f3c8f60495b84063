"""What rules that analyse look up: the files of many runs, tables, figures, the archive."""

from typing import NamedTuple

from gst import registry
from snakemake.iocontainers import Wildcards

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
