"""A small folder of configuration files: one study, one benchmark of each sort."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gst.config import ConfigError, read_study

REGULARIZATION = """\
study: regularization
dataset: digits
network: {name: vgg-digits}
training:
  epochs: 12
  batch_size: 64
  optimiser: {kind: sgd, lr: 0.1}
  milestones: [8]
noise: [0, 20]
replicates: 4
cohort: 2
rewind_epoch: 3
levels: 2
pruning: {kind: weights, fraction: 0.2}
el2n: {epoch: 4, networks: 2}
"""
STABILITY = """\
study: stability
dataset: digits
network: {name: vgg-digits}
training:
  epochs: 12
  batch_size: 64
  optimiser: {kind: adam, lr: 0.001}
replicates: 2
cohort: 2
variants:
  none:
  slow:
    kind: filters
    fractions: [0.3, 0.9]
    first_epochs: [1, 2]
    last_epochs: [6, 9]
    period: 2
    target: S
  scratch: {kind: scratch, fractions: [0.3, 0.9]}
flatness: {epoch: 10, k: 5, directions: 2}
"""
STUDY = """\
name: test
benchmarks:
  reg:
  stab:
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with study.yaml, benchmarks/reg.yaml and benchmarks/stab.yaml."""
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "benchmarks/reg.yaml").write_text(REGULARIZATION)
    (tmp_path / "benchmarks/stab.yaml").write_text(STABILITY)
    return tmp_path


@pytest.fixture
def faults(folder: Path) -> Callable[[str], tuple[str, ...]]:
    """Return what gives the faults of a study's text, file names relative to the folder."""

    def faults_of(text: str) -> tuple[str, ...]:
        (folder / "study.yaml").write_text(text)
        with pytest.raises(ConfigError) as caught:
            read_study(folder / "study.yaml")
        assert all(fault in str(caught.value) for fault in caught.value.faults)
        return tuple(fault.replace(f"{folder}/", "") for fault in caught.value.faults)

    return faults_of
