"""Asks Snakemake which jobs there are, for the options of its own command line."""

from __future__ import annotations

import csv
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from snakemake import cli
from snakemake.api import SnakemakeApi
from snakemake.dag import DAG
from snakemake.io import is_flagged
from snakemake.jobs import Job as SnakemakeJob
from snakemake.settings.types import (
    ConfigSettings,
    DAGSettings,
    OutputSettings,
    Quietness,
    ResourceSettings,
    StorageSettings,
)
from snakemake.workflow import Workflow

from gst.artifacts import read_json
from gst.planning.jobs import Job, Output
from gst.planning.reasons import Reason

sys.path.append(str(Path(__file__).parents[1] / "scripts"))
from _job import gpus


@contextmanager
def workflow(arguments: Sequence[str]) -> Iterator[Workflow]:
    """Give the workflow with its graph of jobs; nothing runs.

    Snakemake has no public call that returns the graph, so that two private ones are used.

    Args:
        arguments: Options and targets, as for `snakemake`.

    Raises:
        SystemExit: If Snakemake has a fault to report; it is printed.
    """
    # Snakemake's, of default resources that go by the sizes of files that are not there yet.
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    _, given = cli.parse_args(list(arguments))
    with SnakemakeApi(OutputSettings(quiet={Quietness.PROGRESS})) as api:
        try:
            made = api.workflow(
                resource_settings=ResourceSettings(
                    cores=given.cores or os.cpu_count(),
                    nodes=given.jobs,
                    max_threads=given.max_threads,
                    resources=given.resources,
                    overwrite_threads=given.set_threads,
                    overwrite_resources=given.set_resources,
                    default_resources=given.default_resources,
                ),
                config_settings=ConfigSettings(
                    config=cli.parse_config(given.config), configfiles=given.configfile
                ),
                storage_settings=StorageSettings(notemp=given.notemp),
                snakefile=cli.resolve_snakefile(given.snakefile),
                workdir=given.directory,
            )
            made.dag(
                DAGSettings(
                    targets=given.targets,
                    forcetargets=given.force,
                    forceall=given.forceall,
                    forcerun=given.forcerun,
                    until=given.until,
                    omit_from=given.omit_from,
                    force_incomplete=given.rerun_incomplete,
                    rerun_triggers=given.rerun_triggers,
                )
            )
            found = made._workflow
            found._prepare_dag(
                forceall=given.forceall,
                ignore_incomplete=given.ignore_incomplete,
                lock_warn_only=True,
                nolock=True,
            )
            found._build_dag()
        except Exception as error:
            api.print_exception(error)
            raise SystemExit(1) from None
        yield found


def ordered(dag: DAG) -> list[SnakemakeJob]:
    """Return all jobs, each after those that it depends on."""
    return [job for level in dag.toposorted() for job in level]


def planned(dag: DAG) -> list[Job]:
    """Return all jobs as planning sees them, each after those that it reads from."""
    jobs = ordered(dag)
    position = {job: number for number, job in enumerate(jobs)}
    return [
        Job(
            rule=job.rule.name,
            wildcards=job.wildcards_dict,
            outputs=tuple(
                Output(name, Path(file), bool(is_flagged(file, "temp")))
                for name, file in job.output.items()
            ),
            waiting=dag.needrun(job),
            after=tuple(position[before] for before in dag.dependencies[job]),
            gpus=gpus(job.resources),
            threads=job.threads,
            seconds=None if dag.needrun(job) else _recorded(job),
        )
        for job in jobs
    ]


def _recorded(job: SnakemakeJob) -> float | None:
    """Return the seconds that Snakemake's benchmark of a job says, None if there is none."""
    if not job.benchmark or not Path(job.benchmark).is_file():
        return None
    with open(job.benchmark, newline="") as file:
        return float(next(csv.DictReader(file, delimiter="\t"))["s"])


def reasons(dag: DAG) -> list[Reason]:
    """Return why each job would run that would, each after those that it depends on."""
    return [_reason(dag, job) for job in ordered(dag) if dag.needrun(job) and job.output]


def _reason(dag: DAG, job: SnakemakeJob) -> Reason:
    found = dag.reason(job)
    recorded = dag.workflow.persistence.input(job.output[0])
    changed = found.input_changed and recorded is not None
    return Reason(
        rule=job.rule.name,
        forced=found.forced,
        outputs=len(job.output),
        missing=sorted(Path(file).name for file in found.missing_output),
        interrupted=bool(found.incomplete_output),
        newer=sorted(found.updated_input - found.updated_input_run),
        inputs_before=frozenset(recorded) if changed else (),
        inputs_now=frozenset(job.input) if changed else (),
        params_before=frozenset(found.params_changed.only_old),
        params_now=frozenset(found.params_changed.only_new),
        commit=_commit(job),
        after=sorted(
            {
                before.rule.name
                for before, files in dag.dependencies[job].items()
                if files & found.updated_input_run
            }
        ),
    )


def _commit(job: SnakemakeJob) -> str | None:
    """Return the commit that the record of a training run names, None if there is no record."""
    record = Path(job.output.get("run") or "")
    if not record.is_file():
        return None
    commit: str | None = read_json(record)["versions"]["commit"]
    return commit
