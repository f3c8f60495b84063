"""The page: whole, self-contained, escaped, and saying what the tables say."""

from __future__ import annotations

import base64
import io
import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from gst.artifacts import ArtifactError
from gst.report import write_report
from gst.report.markup import tag

FIGURES = {"regularization_losses": "regularization_losses", "stability_fig2": "stability_accuracy"}
NASTY = '<script>alert("1 & 2")</script>'


class Page(HTMLParser):
    """Collects elements, their attributes, and the text of a page; checks the nesting."""

    VOID = frozenset(("meta", "link", "img"))

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((name, dict(attributes)))
        if name not in self.VOID:
            self.open.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.elements if found == name]


def runs() -> pd.DataFrame:
    rows = [
        {
            "study": "stability",
            "benchmark": "toy-vgg",
            "noise": 0.0,
            "method": method,
            "level": 0,
            "seed": seed,
            "stability": stability,
            "best_test_accuracy": 0.8 + seed / 100,
            "test_error": 0.25,
            "gap": 0.1,
            "train_accuracy": 1.0,
            "diverged": False,
        }
        for method, stability in (("none", 1.0), ("l-fast", 0.7))
        for seed in range(3)
    ]
    return pd.DataFrame(rows)


def selected() -> pd.DataFrame:
    rows = [
        {
            "benchmark": "toy-lenet",
            "noise": 40.0,
            "method": "pruned",
            "protocol": protocol,
            "which": which,
            "seed": seed,
            "level": 3 * (which == "optimal"),
            "weights_remaining": 0.26 if which == "optimal" else 1.0,
            "test_error": error + seed / 1000,
        }
        for protocol in ("published", "clean")
        for which, error in (("dense", 0.4), ("optimal", 0.3))
        for seed in range(3)
    ]
    return pd.DataFrame(rows)


def levels() -> pd.DataFrame:
    rows = [
        {
            "benchmark": "toy-lenet",
            "noise": noise,
            "method": method,
            "level": level,
            "weights_remaining": weights,
            "test_error_mean": 0.3 + level / 100,
            "test_error_sd": 0.005 if level else float("nan"),
            "loss_original_mean": 0.1,
            "loss_original_sd": 0.001,
            "loss_noisy_mean": 1.25 if noise else float("nan"),
            "loss_noisy_sd": 0.25 if noise else float("nan"),
        }
        for noise in (0.0, 40.0)
        for method, level, weights in (
            ("dense", 0, 1.0),
            ("pruned", 1, 0.5),
            ("extended", 1, 1.0),
            ("pruned", 2, 0.25),
            ("elsewhere", 1, 0.5),
        )
    ]
    return pd.DataFrame(rows)


def claims() -> pd.DataFrame:
    blank = {"published": None, "low": None, "high": None, "rule_verdict": None, "note": None}
    verdicts = {
        "reproduced": "regularization",
        "contradicted": "regularization",
        "holds at reduced scale (toy-vgg, n=5)": "stability",
        "inconclusive": "stability",
        "not run": "stability",
    }
    rows = [
        blank
        | {
            "id": f"{paper}-claim-{i}",
            "paper": paper,
            "place": "Section 3",
            "statement": f"Statement {i} {NASTY}",
            "benchmark": "toy-vgg",
            "scale": "reduced",
            "measured": 1.25 + i,
            "replicates": 3,
            "verdict": verdict,
            "clean_verdict": "inconclusive",
            "source": "runs",
            "chance": 0.1127,
        }
        for i, (verdict, paper) in enumerate(verdicts.items())
    ]
    table = pd.DataFrame(rows)
    table.loc[0, ["low", "high", "rule_verdict", "published"]] = (1.1, 1.375, "holds", "5.2%")
    table.loc[4, ["note", "chance"]] = ("waits for a longer study", None)
    return table


def jobs() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "benchmark": ["toy-vgg", "toy-vgg"],
            "replicates": [3, 3],
            "seconds": [100.0, 200.0],
            "energy_joules": [float("nan")] * 2,
            "threads": [1, 2],
            "device": ["cpu", "cpu"],
            "peak_memory_mb": [250.0, 300.0],
            "versions": [
                json.dumps({"torch": "2.11.0", "commit": commit, "dirty": dirty})
                for commit, dirty in (("abc123", False), ("def456", True))
            ],
            "code": ["0123456789abcdef", "fedcba9876543210"],
            "started": ["2026-11-25T10:00:00+00:00", "2026-11-26T10:00:00+00:00"],
            "hardware": [json.dumps({"cpu": "Fast CPU", "gpu": None})] * 2,
        }
    )


STUDY = {
    "name": f"toy {NASTY}",
    "command": "snakemake --configfile toy.yaml all",
    "benchmarks": [
        {
            "name": "toy-vgg",
            "study": "stability",
            "scale": "reduced",
            "stands_for": "cifar10-vgg11",
            "dataset": "digits",
            "network": "vgg",
            "noise": [0, 2.5],
            "methods": ["none", "l-fast"],
            "levels": 0,
            "seeds": 3,
        }
    ],
}


@pytest.fixture
def figures(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{name}.png" for name in FIGURES]
    for path in paths:
        Image.new("RGB", (1000, 600), "white").save(path)
        path.with_suffix(".txt").write_text(f"Caption of {path.stem} {NASTY}\n")
    return paths


def write(folder: Path, figures: list[Path], **changed: pd.DataFrame) -> str:
    tables = {"runs": runs(), "jobs": jobs(), "claims": claims(), "selected": selected()}
    tables["levels"] = levels()
    kinds = {path: FIGURES[path.stem] for path in figures}
    write_report(folder / "report.html", STUDY, tables | changed, kinds)
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def html(tmp_path: Path, figures: list[Path]) -> str:
    return write(tmp_path, figures)


def test_the_page_is_well_formed_and_needs_nothing_else(html: str) -> None:
    page = Page(html)
    assert page.open == []
    assert html.startswith("<!doctype html>")
    assert page.all("script") == []
    assert not re.search(r"https?:|//\w|url\(|@import", html.replace("</", ""))
    links = [value for _, a in page.elements for key, value in a.items() if key in ("href", "src")]
    assert all(link and (link.startswith(("#", "data:"))) for link in links)
    targets = {attributes.get("id") for _, attributes in page.elements}
    assert {link[1:] for link in links if link and link[0] == "#"} <= targets
    policy = next(a for a in page.all("meta") if "http-equiv" in a)
    assert "default-src 'none'" in str(policy["content"])
    assert any(a.get("name") == "viewport" for a in page.all("meta"))
    assert any(a["rel"] == "icon" for a in page.all("link"))


def test_every_text_is_escaped(html: str) -> None:
    assert "<script" not in html
    assert Page(html).text.count("alert") == 2 + len(FIGURES) + len(claims())


def test_every_image_decodes_and_is_described(html: str) -> None:
    images = Page(html).all("img")
    assert len(images) == len(FIGURES)
    for attributes, name in zip(images, FIGURES, strict=True):
        kind, data = str(attributes["src"]).split(",", 1)
        assert kind == "data:image/png;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            image.load()
            assert image.size == (1000, 600)
        assert f"Caption of {name}" in str(attributes["alt"])


def test_verdicts_are_counted_and_coloured(html: str) -> None:
    page = Page(html)
    chips = [a["class"] for a in page.all("div") if str(a.get("class")).startswith("chip ")]
    assert chips == ["chip good", "chip hint", "chip open", "chip bad", "chip none"]
    pills = Counter(a["class"] for a in page.all("span"))
    assert pills == {"pill good": 1, "pill bad": 1, "pill hint": 1, "pill open": 1}
    assert "Of 5 claims" in page.text
    # Four directions with a chance of 0.1127 each; one of them holds.
    assert "0.5 would by chance" in page.text
    assert "23% of the time" in page.text
    assert "1 claims were not run" in page.text
    assert "waits for a longer study" in page.text
    assert "1.25 [1.1, 1.38]" in page.text


def test_numbers(html: str) -> None:
    text = Page(html).text
    assert "optimal level as published 40.1% 30.1% 26% 10.0 [10.0, 10.0] 3" in text
    assert "optimal level clean 40.1% 30.1% 26% 10.0 [10.0, 10.0] 3" in text
    assert "70.0 [70.0, 70.0] 81.0 [80.0, 82.0] 75.0 [75.0, 75.0]" in text


def test_every_level_is_a_folded_row(html: str) -> None:
    page = Page(html)
    assert "toy-lenet: test error (%) Noise (%) Level Weights if pruned dense pruned" in page.text
    assert "40 0 100% 30.0 40 1 50% 31.0 ± 0.5 31.0 ± 0.5 40 2 25% 32.0 ± 0.5" in page.text
    assert "40 2 25% 0.100 ± 0.001 1.250 ± 0.250" in page.text
    assert "elsewhere" not in page.text
    # Two tables, the claims that were not run, and the fingerprints of two commits.
    assert len(page.all("details")) == 5


def test_how_it_was_run(html: str) -> None:
    text = Page(html).text
    assert "toy-vgg 2 6 5 min not measured 1, 2 cpu 300 MB" in text
    assert text.count("torch 2.11.0") == 1
    assert "cpu Fast CPU" in text
    started = "2026-11-25T10:00:00+00:00 2026-11-25T10:00:00+00:00"
    assert f"abc123 clean 1 {started} 1 0123456789abcdef" in text
    assert "def456 with changes that were not committed 1" in text
    assert "None" not in text
    assert "snakemake --configfile toy.yaml all" in text
    assert "No replicate diverged." in text
    assert "cannot reproduce published numbers" in text


def test_jobs_of_one_commit_stand_in_one_row(tmp_path: Path, figures: list[Path]) -> None:
    versions = json.dumps({"torch": "2.11.0", "commit": None, "dirty": None})
    text = Page(write(tmp_path, figures, jobs=jobs().assign(versions=versions))).text
    started = "2026-11-25T10:00:00+00:00 2026-11-26T10:00:00+00:00"
    assert f"unknown unknown 2 {started} 2 0123456789abcdef fedcba9876543210" in text


def test_diverged_replicates_are_named(tmp_path: Path, figures: list[Path]) -> None:
    table = runs()
    table.loc[1, "diverged"] = True
    table.loc[1, ["stability", "test_error"]] = float("nan")
    text = Page(write(tmp_path, figures, runs=table)).text
    assert "1 of them diverged" in text
    assert "toy-vgg, no label noise, none, level 0, seed 1" in text


def test_measured_energy_is_stated(tmp_path: Path, figures: list[Path]) -> None:
    text = Page(write(tmp_path, figures, jobs=jobs().assign(energy_joules=3.6e6))).text
    assert "2 kWh" in text


def test_a_study_without_regularization(tmp_path: Path, figures: list[Path]) -> None:
    tables = {"runs": runs(), "jobs": jobs(), "claims": claims()}
    write_report(tmp_path / "report.html", STUDY, tables, {figures[0]: "regularization_losses"})
    assert "selected levels of each method" not in (tmp_path / "report.html").read_text()


def test_missing_and_damaged_figures_are_named(tmp_path: Path, figures: list[Path]) -> None:
    figures[0].write_bytes(b"no picture")
    with pytest.raises(ArtifactError, match=r"regularization_losses\.png: should be a PNG file"):
        write(tmp_path, figures)
    figures[1].with_suffix(".txt").unlink()
    with pytest.raises(ArtifactError, match=r"stability_fig2\.txt: no such file"):
        write(tmp_path, figures[1:])
    assert not (tmp_path / "report.html").exists()


def test_tags() -> None:
    assert tag("p", "a < b", tag("b", 1), None, class_="x") == ('<p class="x">a &lt; b<b>1</b></p>')
    assert tag("img", alt='"&') == '<img alt="&quot;&amp;">'
    assert tag("td", data_label="n") == '<td data-label="n"></td>'
