"""The experiment as configuration files describe it: typed, checked at once, and planned.

A study's file lists benchmarks, each of which has a file of its own; `Study.runs` says which
training runs follow. Nothing here needs torch or the data.
"""

from gst.config.benchmarks import (
    Benchmark,
    El2n,
    PlannedRun,
    RegularizationBenchmark,
    StabilityBenchmark,
)
from gst.config.faults import ConfigError
from gst.config.loading import load_study, read_study, read_yaml
from gst.config.study import ActivationsJob, El2nJob, FlatnessJob, Study

__all__ = [
    "ActivationsJob",
    "Benchmark",
    "ConfigError",
    "El2n",
    "El2nJob",
    "FlatnessJob",
    "PlannedRun",
    "RegularizationBenchmark",
    "StabilityBenchmark",
    "Study",
    "load_study",
    "read_study",
    "read_yaml",
]
