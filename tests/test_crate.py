"""An archive holds what it says, and says it as RO-Crate 1.1 demands."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from gst.crate import Study, write_crate

HOME = Path(__file__).parents[1]
RESULTS = ("report.html", "claims.csv", "runs/regularization/x/run.json", "tables/runs.csv")


@pytest.fixture
def crate(tmp_path: Path) -> zipfile.ZipFile:
    home, results = tmp_path / "home", tmp_path / "results/toy"
    files = [
        *(home / name for name in ("Snakefile", "README.md", "src/gst/a b.py", "secret.txt")),
        home / "src/gst/__pycache__/a.pyc",
        *(results / name for name in (*RESULTS, "runs/regularization/x/weights.safetensors")),
    ]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"content of {file.name}")
    jobs = pd.DataFrame(
        {
            "replicates": [3, 3],
            "seconds": [1800.0, 5400.0],
            "started": ["2026-11-25T12:00:00+00:00", "2026-11-25T10:00:00+00:00"],
            "versions": [json.dumps({"torch": "2.11.0", "commit": c}) for c in ("abc", None)],
            "hardware": [json.dumps({"cpu": "Fast CPU", "gpu": None})] * 2,
        }
    )
    study = Study(
        settings={"name": "toy", "results": str(results), "benchmarks": {"b": {"z": 1, "a": 2}}},
        citation=yaml.safe_load((HOME / "CITATION.cff").read_text()),
        jobs=jobs,
        versions={"commit": "abc", "snakemake": "9.27.1"},
        date="2026-11-26T10:00:00+00:00",
    )
    write_crate(tmp_path / "toy.crate.zip", study, home, [results / name for name in RESULTS])
    return zipfile.ZipFile(tmp_path / "toy.crate.zip")


def described(crate: zipfile.ZipFile) -> dict[str, Any]:
    return json.loads(crate.read("ro-crate-metadata.json"))


def entities(crate: zipfile.ZipFile) -> dict[str, dict[str, Any]]:
    return {entity["@id"]: entity for entity in described(crate)["@graph"]}


def references(value: object) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        assert set(value) == {"@id"}, "entities are not nested"
        yield value["@id"]


def types(entity: dict[str, Any]) -> set[str]:
    kinds = entity["@type"]
    return set(kinds) if isinstance(kinds, list) else {kinds}


def test_it_holds_code_study_and_the_given_results(crate: zipfile.ZipFile) -> None:
    assert sorted(crate.namelist()) == sorted(
        [
            *("README.md", "Snakefile", "src/gst/a b.py"),
            *("ro-crate-metadata.json", "study.yaml"),
            *(f"results/{name}" for name in RESULTS),
        ]
    )
    assert crate.read("results/claims.csv") == b"content of claims.csv"
    study = yaml.safe_load(crate.read("study.yaml"))
    assert study == {"name": "toy", "results": "results", "benchmarks": {"b": {"z": 1, "a": 2}}}
    assert list(study["benchmarks"]["b"]) == ["z", "a"]


def test_what_the_specification_demands(crate: zipfile.ZipFile) -> None:
    """RO-Crate 1.1: structure, metadata file descriptor, root data entity, data entities."""
    text = described(crate)
    assert set(text) == {"@context", "@graph"}
    assert text["@context"] == "https://w3id.org/ro/crate/1.1/context"
    found = entities(crate)
    assert len(found) == len(text["@graph"]), "identifiers are unique"
    descriptor = found["ro-crate-metadata.json"]
    assert descriptor["@type"] == "CreativeWork"
    assert descriptor["about"] == {"@id": "./"}
    assert "https://w3id.org/ro/crate/1.1" in references(descriptor["conformsTo"])
    root = found["./"]
    assert root["@type"] == "Dataset"
    assert root["name"] and root["description"]
    assert datetime.fromisoformat(root["datePublished"]).tzinfo
    assert "CreativeWork" in types(found[root["license"]["@id"]])
    for place in references(root["hasPart"]):
        entity = found[place]
        folder = place.endswith("/")
        assert types(entity) & {"File", "Dataset"} == {"Dataset" if folder else "File"}
        assert any(name.startswith(place) if folder else name == place for name in crate.namelist())
    for entity in found.values():
        assert entity["@id"] and entity["@type"]
        for key, value in entity.items():
            if not key.startswith("@"):
                unknown = set(references(value)) - found.keys()
                assert all(place.startswith("https://") for place in unknown), (key, unknown)


def test_what_the_profile_of_workflow_runs_demands(crate: zipfile.ZipFile) -> None:
    found = entities(crate)
    root = found["./"]
    for profile in references(root["conformsTo"]):
        assert "CreativeWork" in types(found[profile])
    workflow = found[root["mainEntity"]["@id"]]
    assert types(workflow) == {"File", "SoftwareSourceCode", "ComputationalWorkflow"}
    assert workflow["@id"] in references(root["hasPart"])
    assert found[workflow["programmingLanguage"]["@id"]]["@type"] == "ComputerLanguage"
    run = found[root["mentions"]["@id"]]
    assert run["@type"] == "CreateAction"
    assert run["instrument"] == {"@id": workflow["@id"]}
    assert run["startTime"] == "2026-11-25T10:00:00+00:00"
    assert {"results/report.html", "results/runs/"} <= set(references(run["result"]))
    assert set(references(run["object"])) == {"study.yaml"}


def test_who_made_it_and_with_what(crate: zipfile.ZipFile) -> None:
    found = entities(crate)
    assert found["#the-gst-developers"]["@type"] == "Organization"
    assert list(references(found["./"]["author"])) == ["#the-gst-developers"]
    assert found["Snakefile"]["version"] == "abc"
    account = found["./"]["description"]
    assert "6 networks were trained in 2 jobs, 2 hours together, on Fast CPU" in account
    assert "abc, unknown" in account
