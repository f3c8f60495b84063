rule report:
    input:
        **{
            name: f"<results>/tables/{table_file(name)}"
            for name in MERGED
            if name in ("runs", "levels", "selected")
        },
        claims="<results>/claims.csv",
        jobs="<results>/tables/jobs.csv",
        png=expand("<results>/figures/{figure}.png", figure=FIGURES),
        captions=expand("<results>/figures/{figure}.txt", figure=FIGURES),
    output:
        page="<results>/report.html",
    log:
        "<logs>/report.log",
    benchmark:
        "<benchmarks>/report.tsv"
    conda:
        "../../envs/gst.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
        gpu=0,
    params:
        study=report_settings(),
        code=code("report.py"),
    message:
        "Writing the report"
    script:
        "../scripts/report.py"
