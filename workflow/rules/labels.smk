rule label_noise:
    input:
        train=ancient("<results>/data/{dataset}/train.npz"),
        info="<results>/data/{dataset}/dataset.json",
    output:
        labels="<results>/labels/{dataset}/{noise}/{cohort}.npz",
    log:
        "<logs>/labels/{dataset}/{noise}/{cohort}.log",
    benchmark:
        "<benchmarks>/labels/{dataset}/{noise}/{cohort}.tsv"
    wildcard_constraints:
        noise=r"noise-[\d.]+(-[a-z-]+)?",
    conda:
        "../../envs/gst.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
        gpu=0,
    params:
        noise=lambda wildcards: planned(
            LABELS, "labels/{dataset}/{noise}/{cohort}.npz".format(**wildcards)
        ).canonical(),
        code=code("label_noise.py"),
    message:
        "Drawing labels of {wildcards.dataset}, {wildcards.noise}, {wildcards.cohort}"
    script:
        "../scripts/label_noise.py"
