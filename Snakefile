import os
from pathlib import Path

from snakemake.exceptions import WorkflowError

from gst.config import ConfigError, load_study, read_yaml

HOME = Path(workflow.basedir)
GIVEN = workflow.config_settings.configfiles

# A configuration file that is given replaces the default study; Snakemake would merge the two.
if not GIVEN:

    configfile: HOME / "config/config.yaml"


try:
    for file in GIVEN:
        read_yaml(file)  # refuses keys that are given twice, which Snakemake does not see
    study = load_study(
        config,
        source=" and ".join(Path(file).name for file in GIVEN) or "config/config.yaml",
        benchmarks=os.path.relpath(HOME / "config/benchmarks"),
    )
except ConfigError as error:
    raise WorkflowError(str(error)) from None


pathvars:
    results=study.results,
    logs=f"{study.results}/logs",
    benchmarks=f"{study.results}/benchmarks",


report: "workflow/report/workflow.rst"


include: "workflow/rules/common/study.smk"
include: "workflow/rules/common/checks.smk"
include: "workflow/rules/common/training.smk"
include: "workflow/rules/common/analysis.smk"
include: "workflow/rules/data.smk"


if not study.from_records:

    include: "workflow/rules/labels.smk"
    include: "workflow/rules/influence.smk"
    include: "workflow/rules/training.smk"
    include: "workflow/rules/flatness.smk"


include: "workflow/rules/analysis.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/archive.smk"


rule all:
    default_target: True
    input:
        "<results>/report.html",
        "<results>/claims.csv",
        "<results>/tables/runs.csv",
        expand("<results>/figures/{figure}.{suffix}", figure=FIGURES, suffix=["pdf", "png"]),


localrules:
    all,
    prepare_dataset,


onstart:
    check_jobs_left()
    check_processes(workflow.dag.needrun_jobs())
    check_data(workflow.dag.needrun_jobs())
    if "params" not in map(str, workflow.rerun_triggers):
        logger.warning(
            "Results of other settings or older code are kept; `snakemake -n` lists them."
        )
