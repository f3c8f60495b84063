"""The command line of `python -m gst`.

config docs|schema|check
bench [agreement|page|cost|spectrum|analysis]
figures TABLES OUT
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from gst.bench import command as bench


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Words of the command line; those that Python was called with if None.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m gst")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_config(commands.add_parser("config", help="document, describe or check configuration"))
    bench.add_arguments(commands.add_parser("bench", help="measure how fast this machine trains"))
    _add_figures(commands.add_parser("figures", help="draw figures again from their tables"))
    words = sys.argv[1:] if arguments is None else arguments
    given = parser.parse_args(words, argparse.Namespace(words=words))
    return int(given.run(given))


def _add_config(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    docs = commands.add_parser("docs", help="print the documentation, config/README.md")
    docs.add_argument("--folder", type=Path, default=Path("config"), help="where the files are")
    docs.set_defaults(run=_docs)
    schema = commands.add_parser("schema", help="print a JSON schema")
    schema.add_argument("file", choices=("study", "benchmark"), nargs="?", default="study")
    schema.set_defaults(run=_schema)
    check = commands.add_parser("check", help="check a study's file and its benchmarks")
    check.add_argument("file", type=Path)
    check.set_defaults(run=_check)


def _docs(given: argparse.Namespace) -> int:
    from gst.config.docs import document

    print(document(given.folder), end="")
    return 0


def _schema(given: argparse.Namespace) -> int:
    from pydantic import TypeAdapter

    from gst.config import Benchmark
    from gst.config.study import StudyFile

    kinds: dict[str, TypeAdapter[Any]] = {
        "study": TypeAdapter(StudyFile),
        "benchmark": TypeAdapter(Benchmark),
    }
    print(json.dumps(kinds[given.file].json_schema(), indent=2))
    return 0


def _check(given: argparse.Namespace) -> int:
    from gst.config import ConfigError, read_study

    try:
        study = read_study(given.file)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    print(
        f"{given.file}: no fault; {len(study.benchmarks)} benchmarks, {len(study.runs())} training "
        f"runs, {len(study.el2n())} EL2N scorings, {len(study.flatness())} flatness measurements"
    )
    return 0


def _add_figures(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tables", type=Path, help="folder of tables, such as docs/results")
    parser.add_argument("out", type=Path, help="folder of figures, such as docs/figures")
    parser.set_defaults(run=_figures)


def _figures(given: argparse.Namespace) -> int:
    from gst.artifacts import ArtifactError
    from gst.figures.redraw import redraw

    try:
        print(*redraw(given.tables, given.out), sep="\n")
    except ArtifactError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
