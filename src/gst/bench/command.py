"""The command line of `python -m gst bench`; a command imports what it needs when it runs."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

PRECISIONS = ("float32", "bf16")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Let a parser take the words after `python -m gst bench`."""
    from gst.registry import entries

    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count(), help="all cores if not given"
    )
    models = list(entries("gst.models"))
    parser.add_argument(
        "--networks",
        nargs="+",
        choices=models,
        metavar="NETWORK",
        default=["lenet", "resnet20", "resnet56", "vgg11", "vgg16", "resnet18"],
    )
    parser.add_argument("--replicates", nargs="+", type=int, default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    parser.add_argument(
        "--modes", nargs="+", choices=("eager", "captured"), help="all of the device if not given"
    )
    parser.add_argument(
        "--separate",
        nargs="*",
        choices=models,
        default=["lenet", "resnet20"],
        metavar="NETWORK",
        help="those whose cohorts are held against separate processes",
    )
    parser.add_argument("--seconds", type=float, default=10, help="time for a cell of the table")
    parser.add_argument(
        "--longest", type=float, default=30, help="seconds that a step of a cohort may take"
    )
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.set_defaults(run=_run, work=_bench)
    commands = parser.add_subparsers(metavar="COMMAND")
    spectrum = commands.add_parser(
        "spectrum", help="compare how eigenvalues of a run's Hessian are found"
    )
    spectrum.add_argument("folder", type=Path, help="folder of a run, .../runs/.../seeds-0-2")
    spectrum.add_argument(
        "--examples", type=int, default=512, help="test images, from the first on"
    )
    spectrum.add_argument("--k", type=int, default=100, help="eigenvalues of largest magnitude")
    spectrum.add_argument("--seed", type=int, default=0, help="which replicate")
    spectrum.add_argument("--tolerance", type=float, default=1e-4, help="largest relative residual")
    spectrum.add_argument("--threads", type=int, default=1)
    spectrum.add_argument("--out", type=Path, default=Path(), help="folder of figure and table")
    spectrum.set_defaults(run=_run, work=_spectrum)
    agreement = commands.add_parser(
        "agreement", help="compare captured with eager runs, cohorts with single ones, bf16"
    )
    agreement.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    agreement.add_argument("--threads", type=int, default=1)
    agreement.add_argument("--seeds", type=int, default=8)
    agreement.add_argument("--epochs", type=int, default=12)
    agreement.add_argument("--out", type=Path, help="JSON file to write")
    agreement.set_defaults(run=_run, work=_agreement)
    page = commands.add_parser("page", help="write docs/performance.md of JSON files, and figures")
    page.add_argument("files", type=Path, nargs="+", help="what `bench --out` wrote")
    page.add_argument(
        "--studies",
        type=Path,
        nargs="*",
        default=[Path("config/paper.yaml"), Path("config/imagenet.yaml")],
        help="files of the studies whose cost is stated",
    )
    page.add_argument("--out", type=Path, default=Path("docs"), help="folder to write to")
    page.set_defaults(run=_run, work=_page)
    cost = commands.add_parser("cost", help="print what a study costs on a measured device")
    cost.add_argument("study", type=Path, help="the study's file")
    cost.add_argument("files", type=Path, nargs="+", help="what `bench --out` wrote on the device")
    cost.set_defaults(run=_run, work=_cost)
    analysis = commands.add_parser(
        "analysis", help="time the tables and figures of a full benchmark, on made-up runs"
    )
    analysis.add_argument("folder", type=Path, help="results folder to write, about 1 GB")
    analysis.add_argument("--examples", type=int, default=60_000, help="training examples")
    analysis.add_argument("--levels", type=int, default=24, help="levels beyond the dense network")
    analysis.add_argument("--epochs", type=int, default=50, help="epochs of a level")
    analysis.set_defaults(run=_run, work=_analysis)


class _Unfit(Exception):
    """What was asked for is not to be had."""


def _run(given: argparse.Namespace) -> int:
    """Run a command; if what it was given is at fault, say so in a line."""
    from gst.artifacts import ArtifactError
    from gst.config import ConfigError

    try:
        given.work(given)
    except (ArtifactError, ConfigError, _Unfit) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _device(given: argparse.Namespace) -> torch.device:
    from gst.bench.machine import prepare

    try:
        return prepare(given.device, given.threads)
    except RuntimeError as error:
        raise _Unfit(error) from error


def _bench(given: argparse.Namespace) -> None:
    from gst.bench.cohorts import modes
    from gst.bench.speed import Plan, bench

    device = _device(given)
    if missing := set(given.modes or ()) - set(modes(device)):
        raise _Unfit(f"steps cannot be {' or '.join(missing)} on this device")
    plan = Plan(
        networks=given.networks,
        replicates=sorted(given.replicates),
        precisions=given.precisions,
        modes=given.modes or modes(device),
        separate=given.separate,
        seconds=given.seconds,
        longest=given.longest,
        threads=given.threads,
    )
    bench(device, plan, given.words, given.out)


def _spectrum(given: argparse.Namespace) -> None:
    from gst.bench.spectrum import bench

    try:
        bench(
            given.folder,
            examples=given.examples,
            k=given.k,
            seed=given.seed,
            tolerance=given.tolerance,
            threads=given.threads,
            out=given.out,
        )
    except ValueError as error:
        raise _Unfit(error) from error


def _agreement(given: argparse.Namespace) -> None:
    from gst.bench.agreement import NETWORKS, bench

    bench(_device(given), NETWORKS, given.seeds, given.epochs, given.words, given.out)


def _page(given: argparse.Namespace) -> None:
    from gst.bench.page import page

    page(given.files, given.studies, given.out)


def _cost(given: argparse.Namespace) -> None:
    from gst.bench.cost import ASSUMPTIONS, cost
    from gst.bench.page import costs_table
    from gst.bench.records import read
    from gst.config import read_study

    records = [record for file in given.files for record in read(file).records]
    print(costs_table(cost(read_study(given.study), records)), ASSUMPTIONS, sep="\n\n")


def _analysis(given: argparse.Namespace) -> None:
    from gst.bench.analysis import bench

    bench(given.folder, examples=given.examples, levels=given.levels, epochs=given.epochs)
