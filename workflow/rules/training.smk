rule train_dense:
    input:
        unpack(training_data),
    output:
        weights=weights("dense", f"<results>/runs/{RUN}/weights.safetensors"),
        epochs=f"<results>/runs/{RUN}/epochs.parquet",
        examples=f"<results>/runs/{RUN}/examples.npz",
        run=f"<results>/runs/{RUN}/run.json",
    log:
        f"<logs>/runs/{RUN}.log",
    benchmark:
        f"<benchmarks>/runs/{RUN}.tsv"
    wildcard_constraints:
        study="regularization",
        method=f"dense|{EARLY}",
    conda:
        "../../envs/gst.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=0,
    params:
        recipe=lambda wildcards: recipe_of(wildcards).canonical(),
        code=training_code,
        checkpoints=machine(f"{study.results}/checkpoints"),
        goes_on=goes_on,
        ended=ended,
        data_root=machine(study.data_root),
    message:
        "Training {wildcards.benchmark} at {wildcards.percent}% noise: {wildcards.method}, "
        "level {wildcards.level}, {wildcards.cohort}"
    script:
        "../scripts/train.py"


use rule train_dense as train_width with:
    output:
        weights=weights("other", f"<results>/runs/{RUN}/weights.safetensors"),
        epochs=f"<results>/runs/{RUN}/epochs.parquet",
        examples=f"<results>/runs/{RUN}/examples.npz",
        run=f"<results>/runs/{RUN}/run.json",
    wildcard_constraints:
        study="regularization",
        method="width",


use rule train_dense as train_pruned with:
    input:
        unpack(training_data),
        unpack(level_before),
    output:
        weights=weights("other", f"<results>/runs/{RUN}/weights.safetensors"),
        epochs=f"<results>/runs/{RUN}/epochs.parquet",
        examples=f"<results>/runs/{RUN}/examples.npz",
        run=f"<results>/runs/{RUN}/run.json",
    wildcard_constraints:
        study="regularization",
        method="|".join(map(re.escape, PRUNED)) or "pruned",


use rule train_pruned as train_extended with:
    output:
        weights=weights("other", f"<results>/runs/{RUN}/weights.safetensors"),
        epochs=f"<results>/runs/{RUN}/epochs.parquet",
        examples=f"<results>/runs/{RUN}/examples.npz",
        run=f"<results>/runs/{RUN}/run.json",
    wildcard_constraints:
        study="regularization",
        method="extended",


rule left_out:
    input:
        unpack(choice_files),
    output:
        left_out="<results>/left_out/{benchmark}/noise-{percent}/{method}.npz",
    log:
        "<logs>/left_out/{benchmark}/noise-{percent}/{method}.log",
    benchmark:
        "<benchmarks>/left_out/{benchmark}/noise-{percent}/{method}.tsv"
    conda:
        "../../envs/gst.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
        gpu=0,
    params:
        choice=lambda wildcards: canonical(choice_of(wildcards)),
        code=code("left_out.py"),
    message:
        "Choosing what {wildcards.benchmark} at {wildcards.percent}% noise trains {wildcards.method}"
    script:
        "../scripts/left_out.py"


use rule train_dense as train_leave_out with:
    input:
        unpack(training_data),
        unpack(left_out_of),
    output:
        weights=weights("other", f"<results>/runs/{RUN}/weights.safetensors"),
        epochs=f"<results>/runs/{RUN}/epochs.parquet",
        examples=f"<results>/runs/{RUN}/examples.npz",
        run=f"<results>/runs/{RUN}/run.json",
    wildcard_constraints:
        study="regularization",
        method="|".join(map(re.escape, LEAVING_OUT)) or "leave-out",


use rule train_dense as train_stability with:
    output:
        weights=weights("stability", f"<results>/runs/{RUN}/weights.safetensors"),
        snapshots=weights("stability", directory(f"<results>/runs/{RUN}/snapshots")),
        epochs=f"<results>/runs/{RUN}/epochs.parquet",
        examples=f"<results>/runs/{RUN}/examples.npz",
        run=f"<results>/runs/{RUN}/run.json",
    wildcard_constraints:
        study="stability",
        level="00",
