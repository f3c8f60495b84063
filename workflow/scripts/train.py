"""Trains one cohort: a dense, pruned, extended or width-scaled run, or one that is pruned."""

from _job import logged

with logged(snakemake.log[0], threads=snakemake.threads):
    from pathlib import Path

    from gst.data.loaded import load, load_labels
    from gst.layout import Cohort, RunPath
    from gst.recipe import Recipe
    from gst.training.hardware import device
    from gst.training.processes import join, launch, launched, leave
    from gst.training.run import Job, run

    folder = Path(snakemake.output.run).parent
    start, early, left_out = (snakemake.input.get(name) for name in ("start", "early", "left_out"))
    if snakemake.output.get("snapshots"):
        (folder / "snapshots").mkdir(parents=True, exist_ok=True)
    dataset = load(Path(snakemake.input.info).parent, snakemake.params.data_root)
    gpus = int(snakemake.resources.get("gpu", 0))
    if dataset.stream and gpus > 1 and not launched():
        launch(snakemake.resources.get("mpi"), gpus)
    processes = join()
    job = Job(
        recipe=Recipe.parse(snakemake.params.recipe),
        seeds=Cohort.parse(snakemake.wildcards.cohort).seeds,
        folder=folder,
        checkpoint=Path(snakemake.params.checkpoints, f"{RunPath.parse(folder)}.safetensors"),
        code=snakemake.params.code,
        device=device(gpus),
        start=Path(start) if start else None,
        early=Path(early) if early else None,
        left_out=Path(left_out) if left_out else None,
        processes=processes,
    )
    run(job, dataset, load_labels(snakemake.input.labels))
    leave()
