"""What a study will cost before it runs, and why parts of it would run again.

Nothing here knows Snakemake: the commands in workflow/commands ask it which jobs there are, and
hand them over as plain values.
"""
