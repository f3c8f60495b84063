rule archive:
    input:
        results=archived,
        jobs="<results>/tables/jobs.csv",
    output:
        crate=f"<results>/{study.name}.crate.zip",
    log:
        "<logs>/archive.log",
    benchmark:
        "<benchmarks>/archive.tsv"
    conda:
        "../../envs/gst.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
        gpu=0,
    params:
        study=json.dumps(study.written_out()),
        home=machine(str(HOME)),
        code=code("archive.py"),
    message:
        "Archiving the study"
    script:
        "../scripts/archive.py"
