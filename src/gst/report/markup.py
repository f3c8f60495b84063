"""HTML by construction: what is not markup already is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence


class Markup(str):
    """Text that is HTML already."""


def tag(name: str, *children: object, **attributes: str) -> Markup:
    """Return an element; children and attribute values that are not `Markup` are escaped.

    Args:
        name: Name of the element.
        children: Its content, one after the other; None is left out.
        attributes: Its attributes; `class_` stands for class, `data_label` for data-label.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(value)}"'
        for key, value in attributes.items()
    )
    if name in ("img", "link", "meta"):
        return Markup(f"<{name}{given}>")
    return Markup(f"<{name}{given}>{join(children)}</{name}>")


def join(children: Iterable[object]) -> Markup:
    """Return the children one after the other, escaped if not `Markup`; None is left out."""
    return Markup(
        "".join(
            child if isinstance(child, Markup) else html.escape(str(child))
            for child in children
            if child is not None
        )
    )


def table(header: Sequence[str], body: Iterable[Sequence[object]], class_: str = "") -> Markup:
    """Return a table. Columns whose heads end in "#" hold numbers, which stand to the right."""
    kinds = ["number" if name.endswith("#") else "" for name in header]
    names = [name.rstrip("#") for name in header]
    lines = [
        tag(
            "tr",
            *(
                tag("td", cell, class_=kind, data_label=name)
                for cell, kind, name in zip(line, kinds, names, strict=True)
            ),
        )
        for line in body
    ]
    heads = [tag("th", name, class_=kind) for name, kind in zip(names, kinds, strict=True)]
    table = tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *lines), class_=class_)
    return tag("div", table, class_="scroll")
