rule el2n:
    input:
        unpack(scoring_data),
    output:
        scores="<results>/el2n/{benchmark}/noise-{percent}/{cohort}.npz",
    log:
        "<logs>/el2n/{benchmark}/noise-{percent}/{cohort}.log",
    benchmark:
        "<benchmarks>/el2n/{benchmark}/noise-{percent}/{cohort}.tsv"
    conda:
        "../../envs/gst.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=0,
    params:
        recipe=lambda wildcards: scoring_of(wildcards).recipe.canonical(),
        networks=lambda wildcards: scoring_of(wildcards).networks,
        code=lambda wildcards: code(
            "el2n.py", ("gst.models", scoring_of(wildcards).recipe.network.name)
        ),
        checkpoints=machine(f"{study.results}/checkpoints"),
        data_root=machine(study.data_root),
    message:
        "Scoring the examples of {wildcards.benchmark} at {wildcards.percent}% noise, {wildcards.cohort}"
    script:
        "../scripts/el2n.py"
