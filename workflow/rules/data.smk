rule prepare_dataset:
    input:
        own_arrays,
    output:
        train="<results>/data/{dataset}/train.npz",
        test="<results>/data/{dataset}/test.npz",
        info="<results>/data/{dataset}/dataset.json",
    log:
        "<logs>/data/{dataset}.log",
    benchmark:
        "<benchmarks>/data/{dataset}.tsv"
    conda:
        "../../envs/gst.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
        gpu=0,
    params:
        source=lambda wildcards: study.datasets[wildcards.dataset].canonical(),
        code=lambda wildcards: code(
            "prepare_dataset.py", (SOURCES, reader(study.datasets[wildcards.dataset])[0])
        ),
        data_root=machine(study.data_root),
    message:
        "Preparing the dataset {wildcards.dataset}"
    script:
        "../scripts/prepare_dataset.py"
