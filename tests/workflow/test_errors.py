"""What a user sees when something is wrong."""

from __future__ import annotations


def test_faults_of_the_configuration_are_reported_at_once_and_nothing_runs(clone, tiny) -> None:
    tiny["benchmarks"]["digits-lenet"] |= {"noise": [120], "levls": 3}
    tiny["benchmarks"]["digits-vgg"]["network"] = {"name": "vg-digits"}
    tiny |= {"name": "faulty", "results": "faulty"}
    done = clone.snakemake("all", "--configfile", clone.write(tiny))
    assert done.returncode != 0
    for fault in ("120", "levls", "vgg-digits"):
        assert fault in done.stdout
    assert "Traceback" not in done.stdout
    assert not (clone.root / "faulty").exists()


def test_missing_data_are_reported_before_any_job_runs(clone, tiny) -> None:
    tiny["datasets"] = {"mine": {"kind": "npz", "train": "mine/train.npz", "test": "mine/test.npz"}}
    tiny["benchmarks"]["digits-lenet"]["dataset"] = "mine"
    tiny |= {"name": "missing", "results": "missing"}
    configuration = clone.write(tiny)
    clone.succeed("-n", "all", "--configfile", configuration)
    done = clone.snakemake("all", "--configfile", configuration)
    assert done.returncode != 0
    assert "mine/train.npz" in done.stdout
    assert "Traceback" not in done.stdout
    assert not (clone.root / "missing/data").exists()


def test_a_run_that_the_study_does_not_plan_is_named(clone) -> None:
    run = "regularization/digits-lenet/noise-40/pruned/level-99/seeds-0-2"
    done = clone.snakemake("-n", f"results/runs/{run}/run.json")
    assert done.returncode != 0
    assert f"{run} is not part of the study" in done.stdout


def test_a_failing_job_leaves_no_output_and_its_log_has_the_traceback(clone, tiny) -> None:
    tiny |= {"name": "failing", "results": "failing"}
    run = "regularization/digits-lenet/noise-0/dense/level-00/seeds-0-1"
    file = "workflow/scripts/train.py"
    with clone.edited(
        file, "    run(job", "    (folder / 'weights.safetensors').touch()\n    1 / 0\n    run(job"
    ):
        done = clone.snakemake(f"failing/runs/{run}/run.json", "--configfile", clone.write(tiny))
    assert done.returncode != 0
    assert "ZeroDivisionError" in done.stdout
    assert "Traceback" in (clone.root / f"failing/logs/runs/{run}.log").read_text()
    left = [path for path in (clone.root / f"failing/runs/{run}").rglob("*") if path.is_file()]
    assert left == []


def test_given_a_gpu_that_is_not_there_a_job_stops(clone, tiny) -> None:
    tiny |= {"name": "failing", "results": "failing"}
    run = "regularization/digits-lenet/noise-0/dense/level-00/seeds-0-1"
    arguments = (f"failing/runs/{run}/run.json", "--set-resources", "train_dense:gpu=1")
    done = clone.snakemake(*arguments, "--configfile", clone.write(tiny))
    assert done.returncode != 0
    assert "GPU" in (clone.root / f"failing/logs/runs/{run}.log").read_text()
