"""What is checked before any job runs."""

import shutil
import subprocess

from gst.datasets import check_available


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
