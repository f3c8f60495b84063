"""Trains one cohort: a dense, pruned, extended or width-scaled run, or one that is pruned."""

from _job import gpus, logged, scratch

with logged(snakemake.log[0], threads=snakemake.threads):
    from pathlib import Path

    from gst.artifacts import remove
    from gst.data.loaded import load, load_labels
    from gst.layout import Cohort, RunPath
    from gst.recipe import Recipe
    from gst.training.hardware import device
    from gst.training.processes import assemble, leave
    from gst.training.run import Job, run

    folder = Path(snakemake.output.run).parent
    checkpoints = scratch(snakemake.resources, snakemake.params.checkpoints)
    start, early, left_out = (snakemake.input.get(name) for name in ("start", "early", "left_out"))
    if snakemake.output.get("snapshots"):
        (folder / "snapshots").mkdir(parents=True, exist_ok=True)
    dataset = load(Path(snakemake.input.info).parent, snakemake.params.data_root)
    given = gpus(snakemake.resources)
    processes = assemble(given if dataset.stream else 1, snakemake.resources.get("mpi"))
    job = Job(
        recipe=Recipe.parse(snakemake.params.recipe),
        seeds=Cohort.parse(snakemake.wildcards.cohort).seeds,
        folder=folder,
        checkpoint=checkpoints / f"{RunPath.parse(folder)}.safetensors",
        code=snakemake.params.code,
        device=device(given),
        start=Path(start) if start else None,
        early=Path(early) if early else None,
        left_out=Path(left_out) if left_out else None,
        keep_checkpoint=snakemake.params.goes_on,
        processes=processes,
    )
    run(job, dataset, load_labels(snakemake.input.labels))
    for ended in () if processes.rank else snakemake.params.ended:
        remove(checkpoints / f"{ended}.safetensors")
    leave()
