"""Reading field by field accepts what pydantic accepts, and gives the same values."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from gst.config import RegularizationBenchmark, StabilityBenchmark
from gst.config.reading import read_fields
from gst.config.study import StudyFile

VALID: dict[type[BaseModel], str] = {
    RegularizationBenchmark: """
        study: regularization
        dataset: digits
        network: {name: vgg-digits, width: 0.5}
        training:
          epochs: 12
          batch_size: 64
          optimiser: {kind: sgd, lr: 0.1, momentum: 0.9}
          milestones: [4, 8]
          augment: flip-crop
        noise: [0, 20]
        replicates: 4
        cohort: 2
        methods: [pruned, width]
        rewind_epoch: 3
        levels: 2
        pruning: {kind: weights, fraction: 0.2}
        el2n: {epoch: 4, networks: 2}
        inferred: [noise]
        """,
    StabilityBenchmark: """
        study: stability
        dataset: digits
        network: {name: vgg-digits}
        training:
          epochs: 12
          batch_size: 64
          optimiser: {kind: adam, lr: 0.001, beta1: 0.8}
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
          once:
            kind: noise
            fractions: 0.5
            first_epochs: 1
            last_epochs: 9
            period: null
            target: L
            noise: restore
            batches: 3
            hits: cumulative
          scratch: {kind: scratch, fractions: [0.3, 0.9]}
          gradual:
            kind: gradual
            fraction: 0.5
            first_epoch: 2
            last_epoch: 8
            period: 3
            target: R
          dense: {kind: dense-sparse-dense, fraction: 0.4, sparse_epoch: 2, dense_epoch: 9}
        flatness: {epoch: 10, k: 5}
        activations: {examples: 20}
        figures: {stability_fig2: stability_curves}
        """,
    StudyFile: """
        name: test
        keep_weights: all
        datasets:
          mine: {kind: npz, train: a.npz, test: b.npz, classes: [a, b]}
          few: {kind: subset, of: mnist, train: 100}
          fewer: {kind: subset, of: {kind: folders, root: there, size: 8}, train: 10}
          other: {kind: module, name: other, options: {a: [1, {b: null}]}}
        benchmarks:
          one:
          two: {levels: 3, training: {epochs: 4}}
        """,
}
MODELS = pytest.mark.parametrize("model", VALID, ids=lambda model: model.__name__)
JUNK: list[Any] = [None, True, 0, -1, 3, 2.5, 1e9, "", "text", "1e-3", [], [1], ["a"], {}, {"a": 1}]


def accepted(model: type[BaseModel], data: Any) -> BaseModel | None:
    """Return the value that pydantic alone reads, or None if it refuses."""
    try:
        return model.model_validate_json(json.dumps(data))
    except ValidationError:
        return None


@MODELS
def test_values_are_those_of_pydantic(model: type[BaseModel]) -> None:
    data = yaml.safe_load(VALID[model])
    values, faults = read_fields(model, data)
    assert faults == []
    assert model(**values) == accepted(model, data)


@MODELS
@settings(deadline=None)
@given(data=st.data())
def test_data_have_faults_if_pydantic_refuses_them(
    model: type[BaseModel], data: st.DataObject
) -> None:
    changed = yaml.safe_load(VALID[model])
    for _ in range(data.draw(st.integers(1, 3))):
        inside: Any = changed
        key: Any = None
        while isinstance(inside, dict | list) and inside:
            parent = inside
            keys = list(parent) if isinstance(parent, dict) else range(len(parent))
            key = data.draw(st.sampled_from(keys))
            inside = parent[key]
            if data.draw(st.booleans()):
                break
        if data.draw(st.booleans()):
            parent[key] = copy.deepcopy(data.draw(st.sampled_from(JUNK)))
        elif isinstance(parent, dict) and data.draw(st.booleans()):
            parent["unheard-of"] = copy.deepcopy(data.draw(st.sampled_from(JUNK)))
        else:
            del parent[key]
    values, faults = read_fields(model, changed)
    expected = accepted(model, changed)
    assert bool(faults) == (expected is None)
    assert all(fault.message and fault.path for fault in faults)
    if expected is not None:
        assert model(**values) == expected
