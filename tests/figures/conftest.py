"""Tables of made-up studies, small, with noise in the numbers and known answers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gst.analysis.accounts import accounts_table
from gst.analysis.correlations import correlations
from gst.analysis.flatness import RUN
from gst.analysis.selection import selected

LEVELS = 6
WITHOUT = [
    ("random", 5.0, "", 0.0),
    ("random", 20.0, "", 0.01),
    ("misclassified", np.nan, "optimal", -0.04),
    ("worsened-subgroup", np.nan, "sparsest-better", 0.02),
    ("improved", 20.0, "optimal", 0.05),
]
"""What is left out, its share in percent, the level that decided, and what it does to the error."""
LEVEL_KEYS = (
    *("study", "benchmark", "noise", "method", "level", "seed"),
    *("weights_remaining", "epochs_spent"),
)


def regularization(benchmarks: list[str], noises: list[float]) -> dict[str, pd.DataFrame]:
    """Pruning is best at level 4 with noise, at level 1 without; extended is as dense.

    Of the ablations "rewound" does as well as pruning, at twice the change, "random" does nothing.
    """
    rng = np.random.default_rng(0)
    runs = []
    for benchmark in benchmarks:
        for noise in noises:
            base, best = 0.05 + noise / 100, 4 if noise else 1
            for method in ("dense", "pruned", "extended", "width", "rewound", "random"):
                for level in [0] if method == "dense" else range(1, LEVELS + 1):
                    for seed in range(3):
                        strength = {"pruned": 1, "rewound": 2}.get(method, 0)
                        gain = strength * (0.03 - 0.01 * abs(level - best))
                        error = base - gain + 0.001 * rng.normal()
                        chain = method in ("pruned", "rewound", "random")
                        sparse = chain or method == "width"
                        runs.append(
                            {
                                "study": "regularization",
                                "benchmark": benchmark,
                                "noise": noise,
                                "method": method,
                                "intervention": "weights" if chain else "none",
                                "level": level,
                                "cohort": "seeds-0-2",
                                "seed": seed,
                                "weights_remaining": 0.4**level if sparse else 1.0,
                                "epochs_spent": 10 * (1 + level * (method != "width")),
                                "test_error": error,
                                "selection_error": error + 0.001 * rng.normal(),
                                "report_error": error + 0.001 * rng.normal(),
                                "train_loss": 0.1,
                                "loss_original": 0.01 + 0.1 * level + 0.01 * seed,
                                "loss_noisy": 0.1 + 0.5 * level + 0.01 * seed if noise else np.nan,
                                "stability": 1 - 0.02 * level * (method == "pruned"),
                                "chain_stability": 1 - 0.01 * level * (method == "pruned"),
                                "diverged": False,
                            }
                        )
    table = pd.DataFrame(runs)
    chosen = selected(table)
    parts = []
    for row in chosen[chosen["which"] != "dense"].itertuples():
        group = np.arange(1, 21)
        difference = (0.1 if row.noise else -0.1) * (group > 16) * (row.level > 0)
        keys = {name: getattr(row, name) for name in chosen.columns[:8]}
        parts.append(
            pd.DataFrame({"group": group, "loss_difference": difference + 0.001 * row.seed}).assign(
                **keys
            )
        )
    group = np.arange(1, 21)
    levels = [
        pd.DataFrame(
            {
                **{key: getattr(row, key) for key in LEVEL_KEYS},
                "group": group,
                "loss_difference": 0.01 * group * row.level + 0.001 * row.seed,
            }
        )
        for row in table.itertuples()
    ]
    stable = [
        {
            "benchmark": benchmark,
            "noise": noise,
            "seed": seed,
            "networks": 10,
            "spearman_halves": 0.8,
            "reliability": 0.89,
            "spearman_seeds": np.nan if noise else 0.88,
        }
        for benchmark in benchmarks
        for noise in noises
        for seed in range(3)
    ]
    rng = np.random.default_rng(1)
    without = [
        {
            "benchmark": benchmark,
            "noise": noise,
            "method": f"without-{by}",
            "by": by,
            "percent": percent,
            "which": which,
            "level": 4.0 if which else np.nan,
            "weights_remaining": 0.4**4 if which else np.nan,
            "seed": seed,
            "share": 0.2,
            "share_noisy": noise / 80 if noise else 0.0,
            "test_error": 0.05 + noise / 100 + change + 0.001 * rng.normal(),
            "test_error_dense": 0.05 + noise / 100,
            "test_error_pruned": 0.03 + noise / 100 if which else np.nan,
        }
        for benchmark in benchmarks
        for noise in noises
        for by, percent, which, change in WITHOUT
        for seed in range(3)
    ]
    pictures = [
        {
            "benchmark": benchmark,
            "noise": noise,
            "level": 4,
            "rank": rank,
            "example": 7 * rank,
            "seeds": 1 if noise else 3,
            "loss_dense": 0.1,
            "loss_sparse": 2.0 - 0.1 * rank,
            "loss_difference": 1.9 - 0.1 * rank,
            "given": "cat" if noise and rank % 2 else "dog",
            "original": "dog",
            "channels": 3 if benchmark == "b" else 1,
            "height": 4,
            "width": 4,
            "pixels": bytes(range(16 * (3 if benchmark == "b" else 1))).hex(),
        }
        for benchmark in benchmarks
        for noise in noises
        for rank in range(1, 11)
    ]
    flatness = flat_levels(table)
    return {
        "left_out": pd.DataFrame(without),
        "pictures": pd.DataFrame(pictures),
        "runs": table,
        "selected": chosen,
        "subgroups": pd.concat(parts, ignore_index=True),
        "subgroup_levels": pd.concat(levels, ignore_index=True),
        "el2n": pd.DataFrame(stable),
        "flatness": flatness,
        "accounts": accounts_table(table, flatness, 0.1 + 0.2 * table["level"]),
    }


def flat_levels(runs: pd.DataFrame) -> pd.DataFrame:
    """Sharper level by level, measured at every other one of each method."""
    own = runs[runs["method"].isin(["dense", "pruned", "extended", "width"])]
    own = own.loc[own["level"] % 2 == 0, list(RUN)]
    trace = (1 + own["seed"] / 10) * 5.0 ** own["level"]
    parts = [own.assign(split=split, trace_hutchinson=trace) for split in ("test", "train")]
    return pd.concat(parts, ignore_index=True)


INTERVENTIONS = {"none": "none", "scratch": "scratch", "zero": "zero", "gaussian": "gaussian"}


def stability(benchmarks: list[str], variants: list[str]) -> dict[str, pd.DataFrame]:
    """Variants are less stable and more accurate one after the other; 6 epochs, event after 2."""
    rng = np.random.default_rng(1)
    runs, curves, flatness, spectra, scans = [], [], [], [], []
    for benchmark in benchmarks:
        for order, variant in enumerate(variants):
            kind, _, number = variant.partition("-")
            intervention = INTERVENTIONS.get(kind, "filters")
            noise = intervention in ("zero", "gaussian")
            for seed in range(4):
                pruned = variant not in ("none", "scratch")
                share = 1 - 0.1 * order * (1 + 0.1 * rng.random()) if pruned else 1.0
                accuracy = 0.8 + 0.02 * order + 0.001 * rng.normal()
                name = {"study": "stability", "benchmark": benchmark, "method": variant}
                scheduled = {
                    "events": int(pruned),
                    "target": (kind.upper() if kind in "srl" else "S") if pruned else "",
                    "iterative_rate": {"s-slow": 2.0}.get(variant, 12.5) if pruned else np.nan,
                }
                measured = {"stability": share, "best_test_accuracy": accuracy + 0.01}
                name["noise"] = 0.0
                runs.append(
                    {
                        **name,
                        "level": 0,
                        "seed": seed,
                        "intervention": intervention,
                        "batches": float(number) if noise else np.nan,
                        **scheduled,
                        **measured,
                        "chain_stability": share,
                        "weights_remaining": 0.6 if intervention == "filters" else 1.0,
                        "epochs_spent": 6,
                        "test_error": 1 - accuracy,
                        "gap": 1 - accuracy,
                        "train_accuracy": 1.0,
                        "loss_noisy": np.nan,
                        "train_loss": 0.01 * (1 + rng.random()),
                        "test_loss": 0.5 + 0.1 * rng.random(),
                        "recovery_epochs": 2.0 + seed if pruned else np.nan,
                        "reduction_own": 0.4 if intervention == "filters" else 0.0,
                        "reduction_physical": 0.5 if intervention == "filters" else 0.0,
                    }
                )
                for epoch in range(7):
                    curves.append(
                        {
                            **name,
                            "seed": seed,
                            "epoch": epoch,
                            "test_accuracy": accuracy * (1 - 0.5 ** (epoch + 1)),
                            "pruned_accuracy": 0.3 if pruned and epoch == 2 else np.nan,
                            "train_accuracy": 1.0,
                        }
                    )
                for split in ("test", "train"):
                    flatness.append(
                        {
                            **name,
                            "seed": seed,
                            "split": split,
                            "level": 0,
                            "trace_hutchinson": 100 * share + seed,
                            "trace_top": 10 ** (3 * share) if split == "test" else 1 + seed,
                            "gradient_noise": 2 + share + 0.01 * rng.random(),
                            "tic": np.nan if seed == 3 else 1 + rng.random(),
                            "epsilon": 0.4 if order == 5 else 0.2 - 0.1 * share,
                            "epsilon_censored": order == 5,
                            **scheduled,
                            **measured,
                            "best_test_accuracy": accuracy,
                            "test_accuracy": accuracy - 0.01,
                        }
                    )
                    place = {"benchmark": benchmark, "method": variant, "seed": seed}
                    place["split"] = split
                    for rank in range(1, 6):
                        value = (-1) ** (rank == 5) * (50 + seed) * abs(share) / rank**2
                        residual = {"rank": rank, "eigenvalue": value, "residual": 1e-5}
                        spectra.append({**place, **residual})
                    for direction in (1, 2):
                        for step in (-0.4, -0.2, 0.0, 0.2, 0.4):
                            # Steeper to the left, and along the first direction.
                            rise = (3 - direction) * step**2 * (2 if step < 0 else 1)
                            loss = {"direction": direction, "step": step, "loss": 0.5 + seed + rise}
                            scans.append({**place, **loss})
    made = {
        "runs": runs,
        "curves": curves,
        "flatness": flatness,
        "spectra": spectra,
        "scans": scans,
    }
    tables = {name: pd.DataFrame(rows) for name, rows in made.items()}
    hard = 1 - tables["runs"]["stability"] + 0.01 * tables["runs"]["seed"]
    parts = []
    for name in benchmarks:
        own = [tables[kind][tables[kind]["benchmark"] == name] for kind in ("runs", "flatness")]
        parts.append(correlations(*own))
    return {
        **tables,
        "correlations": pd.concat(parts, ignore_index=True),
        "subgroups": variant_losses(tables["runs"]),
        "accounts": accounts_table(tables["runs"], tables["flatness"], hard),
        "activations": activations(benchmarks),
    }


def variant_losses(runs: pd.DataFrame) -> pd.DataFrame:
    """The less stable a variant is, the more its loss on the most influential fifth rises."""
    own = runs.loc[runs["method"] != "none", ["benchmark", "method", "seed", "stability"]]
    table = own.merge(pd.DataFrame({"group": range(1, 21)}), how="cross")
    rise = (1 - table["stability"]) * (table["group"] > 16)
    return table.assign(loss_difference=rise + 0.001 * table["seed"])


def activations(benchmarks: list[str]) -> pd.DataFrame:
    """Of three layers; untrained ones are standard normal, trained ones lie ever further right."""
    z = np.linspace(-4.9, 4.9, 50)
    parts = [
        pd.DataFrame(
            {
                "benchmark": benchmark,
                "method": "none",
                "seed": seed,
                "state": state,
                "layer": f"norm{10 - depth}",
                "z": z,
                "density": np.exp(-((z - shift) ** 2) / 2) / np.sqrt(2 * np.pi),
                "mean": shift,
                "std": 1.0,
                "ks": shift / 2 + 0.01 * seed,
            }
        )
        for benchmark in benchmarks
        for seed in range(3)
        for state in ("untrained", "trained")
        for depth in range(3)
        for shift in [0.2 * depth * (state == "trained")]
    ]
    return pd.concat(parts, ignore_index=True)


VARIANTS = ["none", "scratch", "s-slow", "s-fast", "r-fast", "l-fast"]
NOISES = ["none", "l-fast", "zero-1", "zero-50", "gaussian-1", "gaussian-50", "gaussian-1105"]


@pytest.fixture(scope="session")
def tables() -> dict[str, dict[str, pd.DataFrame]]:
    """The tables of both studies, by study: one benchmark each. "noise": temporary noise."""
    return {
        "regularization": regularization(["toy-lenet"], [0.0, 40.0]),
        "stability": stability(["toy-vgg"], VARIANTS),
        "noise": stability(["toy-noise"], NOISES),
    }


@pytest.fixture(scope="session")
def large() -> dict[str, dict[str, pd.DataFrame]]:
    """The tables of larger studies: more benchmarks, noise levels and unknown variants."""
    return {
        "regularization": regularization(["a", "b"], [0.0, 5.0, 10.0, 60.0]),
        "stability": stability(["a", "b"], [*VARIANTS, *(f"new-{i}" for i in range(6))]),
        "noise": stability(["a", "b"], NOISES),
    }
