"""Prints what a study will cost, stage by stage: `make plan`, or with options of `snakemake`."""

import sys

from _dag import planned, workflow

from gst.planning.costs import costs
from gst.planning.overview import overview

with workflow(sys.argv[1:]) as found:
    jobs = planned(found.dag)
    print(overview(jobs, costs(found.globals["study"], jobs)))
