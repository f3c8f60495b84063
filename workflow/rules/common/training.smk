"""What rules that train and measure look up: recipes, files, and the code they depend on."""

from gst.config.benchmarks import SCORES
from gst.datasets import local_files


def own_arrays(wildcards):
    """Return a user's own .npz files, so that replacing them is noticed."""
    source = whole(study.datasets[wildcards.dataset])
    files = local_files(source, study.data_root) if source.kind == "npz" else []
    return [str(file) for file in files if file.is_file()]


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
    dense = "dense" if path.method in ("dense", EARLY) else "other"
    return (path.study if path.study == "stability" else dense) in KEPT
