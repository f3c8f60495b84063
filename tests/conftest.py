"""What holds for every test."""

import os

os.environ["OMP_NUM_THREADS"] = "1"
"""Before any test imports torch: its threads would fight with those of the jobs beside it."""
