"""Puts a finished study into one file for archiving: an RO-Crate, zipped.

A crate is a folder with a description, ro-crate-metadata.json, that people and machines can read
(RO-Crate 1.1, https://w3id.org/ro/crate/1.1). This one describes a run of a workflow, in the
words of the profile Workflow Run RO-Crate (https://w3id.org/ro/wfrun/workflow/0.5).
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import yaml

from gst.artifacts import atomic

DESCRIPTION = "ro-crate-metadata.json"
WORKFLOW = "Snakefile"
SPECIFICATION = "https://w3id.org/ro/crate/1.1"
WORKFLOW_PROFILE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    WORKFLOW_PROFILE: "Workflow RO-Crate",
}
LANGUAGE = "https://w3id.org/workflowhub/workflow-ro-crate#snakemake"

CODE = (
    *("CHANGELOG.md", "CITATION.cff", "LICENSE", "Makefile", "README.md", "Snakefile"),
    *("pyproject.toml", "requirements", "config", "envs", "profiles", "slurm", "src", "workflow"),
)
"""Files and folders of the project that go into a crate, so that it can be run from there."""

PARTS = {
    "study.yaml": "The study: every setting of it.",
    "README.md": "What the workflow is, how to run it, how to read the results.",
    "config/": "Benchmarks and claims, as they came with the code.",
    "src/": "The library: training, measuring, statistics, figures.",
    "workflow/": "The rules of the workflow, and what its jobs run.",
    "results/report.html": "Figures, numbers, verdicts, and how it was run, on one page.",
    "results/claims.csv": "The verdict on every published claim.",
    "results/tables/": "Tidy tables: of all runs, and one a figure.",
    "results/figures/": "Figures as PDF and PNG, with their captions.",
    "results/runs/": "The record of every training run: recipe, seeds, versions, hardware, time "
    "(run.json), every epoch (epochs.parquet), every example (examples.npz).",
    "results/data/": "What each dataset is: classes, sizes, checksums. Images are not included.",
    "results/labels/": "Labels that were trained on, and which of them are wrong.",
    "results/el2n/": "EL2N scores of the training examples.",
    "results/left_out/": "Training examples that networks were trained without.",
    "results/flatness/": "Flatness of the loss around the networks' weights.",
    "results/activations/": "How the networks' activations are distributed.",
}
"""What is described of a crate, where there is such: a file, or a folder and all in it."""

Entity = dict[str, Any]


@dataclass(frozen=True)
class Study:
    """What a crate says of the study that it holds.

    Attributes:
        settings: What the study's configuration file can hold.
        citation: Contents of CITATION.cff.
        jobs: Table of the training jobs, one row each.
        versions: Versions and commit of what writes the crate.
        date: When it is written, as ISO 8601 has it.
    """

    settings: Mapping[str, Any]
    citation: Mapping[str, Any]
    jobs: pd.DataFrame
    versions: Mapping[str, str | None]
    date: str


def write_crate(path: Path, study: Study, home: Path, results: Iterable[Path]) -> None:
    """Write a crate: the code, the study, and files of its results folder.

    Args:
        path: The .zip file to write.
        study: What is said of the study.
        home: Folder of the project.
        results: Files of the results folder.

    Raises:
        OSError: If a file cannot be read, or the disk is full; no partial crate stays.
    """
    folder = study.settings["results"]
    files = {f"results/{file.relative_to(folder)}": file for file in results}
    for part in map(home.joinpath, CODE):
        for file in (part, *part.rglob("*")):
            if file.is_file() and not {"__pycache__", ".git"} & set(file.parts):
                files[str(file.relative_to(home))] = file
    written = yaml.safe_dump({**study.settings, "results": "results"}, sort_keys=False)
    described = json.dumps(metadata(study, ["study.yaml", *files]), indent=2, ensure_ascii=False)
    with (
        atomic(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as crate,
    ):
        crate.writestr(DESCRIPTION, f"{described}\n")
        crate.writestr("study.yaml", written)
        for place, file in sorted(files.items()):
            crate.write(file, place)


def metadata(study: Study, files: Collection[str]) -> Entity:
    """Return the description of a crate, as JSON-LD.

    Args:
        study: What is said of the study.
        files: The places in the crate of all its files.
    """
    parts = {
        place: text
        for place, text in PARTS.items()
        if any(file == place or (place[-1] == "/" and file.startswith(place)) for file in files)
    }
    authors = _authors(study.citation["authors"])
    license_ = f"https://spdx.org/licenses/{study.citation['license']}"
    by = _references(author["@id"] for author in authors)
    made = [place for place in parts if place.startswith("results/")]
    descriptor = {
        "@id": DESCRIPTION,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": _references([SPECIFICATION, WORKFLOW_PROFILE]),
    }
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Results of the study {study.settings['name']}: {study.citation['title']}",
        "description": _account(study),
        "datePublished": study.date,
        "license": {"@id": license_},
        "author": by,
        "conformsTo": _references(PROFILES),
        "hasPart": _references([WORKFLOW, *parts]),
        "mainEntity": {"@id": WORKFLOW},
        "mentions": {"@id": "#run"},
    }
    workflow = {
        "@id": WORKFLOW,
        "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
        "name": study.citation["title"],
        "programmingLanguage": {"@id": LANGUAGE},
        "author": by,
        "license": {"@id": license_},
        "version": study.versions["commit"] or study.citation["version"],
    }
    language = {
        "@id": LANGUAGE,
        "@type": "ComputerLanguage",
        "name": "Snakemake",
        "url": {"@id": "https://snakemake.github.io"},
        "version": study.versions["snakemake"],
    }
    run = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": f"Run of the study {study.settings['name']}",
        "instrument": {"@id": WORKFLOW},
        "agent": by,
        "object": {"@id": "study.yaml"},
        "result": _references(made),
        "startTime": min(study.jobs["started"]),
        "endTime": study.date,
    }
    return {
        "@context": f"{SPECIFICATION}/context",
        "@graph": [
            descriptor,
            root,
            workflow,
            *(_part(place, text) for place, text in parts.items()),
            run,
            language,
            *authors,
            {"@id": license_, "@type": "CreativeWork", "name": study.citation["license"]},
            *(
                {"@id": place, "@type": "CreativeWork", "name": name}
                for place, name in PROFILES.items()
            ),
        ],
    }


def _part(place: str, text: str) -> Entity:
    kind = "Dataset" if place.endswith("/") else "File"
    return {"@id": place, "@type": kind, "name": place, "description": text}


def _authors(listed: Iterable[Mapping[str, str]]) -> list[Entity]:
    """Return the authors of a citation: those with a given name are persons."""
    return [
        {
            "@id": author.get("orcid") or f"#{quote(_name(author).replace(' ', '-'))}",
            "@type": "Person" if "given-names" in author else "Organization",
            "name": _name(author),
        }
        for author in listed
    ]


def _name(author: Mapping[str, str]) -> str:
    return author.get("name") or f"{author['given-names']} {author['family-names']}"


def _account(study: Study) -> str:
    """Return in a few sentences what ran, with what, where and for how long."""
    jobs = study.jobs
    versions = [json.loads(text) for text in jobs["versions"].unique()]
    hardware = [json.loads(text) for text in jobs["hardware"].unique()]
    commits = sorted({one["commit"] or "unknown" for one in versions})
    devices = sorted({one["gpu"] or one["cpu"] for one in hardware})
    torch = sorted({one["torch"] for one in versions})
    return (
        f"{jobs['replicates'].sum()} networks were trained in {len(jobs)} jobs, "
        f"{jobs['seconds'].sum() / 3600:.3g} hours together, on {', '.join(devices)} with torch "
        f"{', '.join(torch)} (commit: {', '.join(commits)}). Tables, figures and "
        "verdicts can be made again from the records, without training: snakemake all "
        "--configfile study.yaml --config from_records=True"
    )


def _references(places: Iterable[str]) -> list[Entity]:
    return [{"@id": place} for place in places]
