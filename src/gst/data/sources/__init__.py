"""The registry of data sources: to add one, add a file with one registered function.

    @register("scans", needs=("{folder}/train", "{folder}/test"))
    def scans(data_root: Path, *, folder: str, slices: int) -> Raw: ...

The keyword arguments are the options that configuration gives. `needs` lists the files and
folders, relative to `data_root`, without which nothing can be read; they are looked for before
any job runs, and {folder} stands for the value of the option `folder`.
"""
