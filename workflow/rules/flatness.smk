rule flatness:
    input:
        unpack(training_data),
        unpack(measured_weights),
    output:
        flatness=f"<results>/flatness/{RUN}/flatness.json",
        spectrum=f"<results>/flatness/{RUN}/spectrum.npz",
    log:
        f"<logs>/flatness/{RUN}.log",
    benchmark:
        f"<benchmarks>/flatness/{RUN}.tsv"
    conda:
        "../../envs/gst.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=240,
        gpu=0,
    params:
        recipe=lambda wildcards: recipe_of(wildcards).canonical(),
        flatness=lambda wildcards: planned(FLATNESS, RUN.format(**wildcards)).canonical(),
        code=lambda wildcards: code(
            "flatness.py", ("gst.models", recipe_of(wildcards).network.name)
        ),
    message:
        "Measuring the flatness of {wildcards.benchmark} at {wildcards.percent}% noise: "
        "{wildcards.method}, level {wildcards.level}, {wildcards.cohort}"
    script:
        "../scripts/flatness.py"


rule activations:
    input:
        unpack(lambda wildcards: prepared(recipe_of(wildcards).dataset)),
        weights=f"<results>/runs/{RUN}/weights.safetensors",
    output:
        activations=f"<results>/activations/{RUN}/activations.npz",
    log:
        f"<logs>/activations/{RUN}.log",
    benchmark:
        f"<benchmarks>/activations/{RUN}.tsv"
    wildcard_constraints:
        study="stability",
    conda:
        "../../envs/gst.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
        gpu=0,
    params:
        recipe=lambda wildcards: recipe_of(wildcards).canonical(),
        activations=lambda wildcards: planned(ACTIVATIONS, RUN.format(**wildcards)).canonical(),
        code=lambda wildcards: code(
            "activations.py", ("gst.models", recipe_of(wildcards).network.name)
        ),
    message:
        "Measuring the activations of {wildcards.benchmark}: {wildcards.method}, {wildcards.cohort}"
    script:
        "../scripts/activations.py"
