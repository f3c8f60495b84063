rule tables_regularization:
    input:
        unpack(measurements),
    output:
        runs="<results>/tables/{study}/{benchmark}/runs.parquet",
        jobs="<results>/tables/{study}/{benchmark}/jobs.csv",
        levels="<results>/tables/{study}/{benchmark}/levels.csv",
        selected="<results>/tables/{study}/{benchmark}/selected.csv",
        subgroups="<results>/tables/{study}/{benchmark}/subgroups.csv",
        subgroup_levels="<results>/tables/{study}/{benchmark}/subgroup_levels.parquet",
        el2n="<results>/tables/{study}/{benchmark}/el2n.csv",
        left_out="<results>/tables/{study}/{benchmark}/left_out.csv",
        pictures="<results>/tables/{study}/{benchmark}/pictures.parquet",
        flatness="<results>/tables/{study}/{benchmark}/flatness.csv",
        accounts="<results>/tables/{study}/{benchmark}/accounts.csv",
    log:
        "<logs>/tables/{study}/{benchmark}.log",
    benchmark:
        "<benchmarks>/tables/{study}/{benchmark}.tsv"
    wildcard_constraints:
        study="regularization",
    conda:
        "../../envs/gst.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
        gpu=0,
    params:
        analysis=analysis_settings,
        code=code("tables.py"),
    message:
        "Making the tables of {wildcards.benchmark}"
    script:
        "../scripts/tables.py"


use rule tables_regularization as tables_stability with:
    output:
        runs="<results>/tables/{study}/{benchmark}/runs.parquet",
        jobs="<results>/tables/{study}/{benchmark}/jobs.csv",
        curves="<results>/tables/{study}/{benchmark}/curves.parquet",
        flatness="<results>/tables/{study}/{benchmark}/flatness.csv",
        correlations="<results>/tables/{study}/{benchmark}/correlations.csv",
        spectra="<results>/tables/{study}/{benchmark}/spectra.parquet",
        scans="<results>/tables/{study}/{benchmark}/scans.parquet",
        activations="<results>/tables/{study}/{benchmark}/activations.parquet",
        subgroups="<results>/tables/{study}/{benchmark}/subgroups.csv",
        el2n="<results>/tables/{study}/{benchmark}/el2n.csv",
        accounts="<results>/tables/{study}/{benchmark}/accounts.csv",
    wildcard_constraints:
        study="stability",


rule merge:
    input:
        **MERGED,
    output:
        **{name: f"<results>/tables/{table_file(name)}" for name in MERGED},
        runs_csv="<results>/tables/runs.csv",
    log:
        "<logs>/merge.log",
    benchmark:
        "<benchmarks>/merge.tsv"
    conda:
        "../../envs/gst.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
        gpu=0,
    params:
        code=code("merge.py"),
    message:
        "Putting the tables of all benchmarks together"
    script:
        "../scripts/merge.py"


rule figure:
    input:
        unpack(figure_tables),
    output:
        pdf="<results>/figures/{figure}.pdf",
        png=report(
            "<results>/figures/{figure}.png",
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
        table="<results>/tables/{figure}.csv",
        caption="<results>/figures/{figure}.txt",
    log:
        "<logs>/figures/{figure}.log",
    benchmark:
        "<benchmarks>/figures/{figure}.tsv"
    wildcard_constraints:
        figure="|".join(FIGURES),
    conda:
        "../../envs/gst.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
        gpu=0,
    params:
        kind=lambda wildcards: FIGURES[wildcards.figure].kind,
        code=lambda wildcards: code("figure.py", ("gst.figures", FIGURES[wildcards.figure].kind)),
    message:
        "Drawing {wildcards.figure}"
    script:
        "../scripts/figure.py"


for name in FIGURES:

    rule:
        name:
            name
        input:
            multiext(f"<results>/figures/{name}", ".pdf", ".png"),
        localrule: True


rule claims:
    input:
        **{name: f"<results>/tables/{table_file(name)}" for name in MERGED if name != "jobs"},
        claims=CLAIMS,
    output:
        claims=report("<results>/claims.csv", caption="../report/claims.rst", category="Claims"),
    log:
        "<logs>/claims.log",
    benchmark:
        "<benchmarks>/claims.tsv"
    conda:
        "../../envs/gst.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
        gpu=0,
    params:
        study=claims_settings(),
        code=code("claims.py"),
    message:
        "Holding the claims of both papers against the tables"
    script:
        "../scripts/claims.py"
