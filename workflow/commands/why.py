"""Prints what would run, and why: `make why`, or with options of `snakemake`."""

import sys

from _dag import reasons, workflow

from gst.planning.reasons import explain

with workflow(sys.argv[1:]) as found:
    print(explain(reasons(found.dag)))
