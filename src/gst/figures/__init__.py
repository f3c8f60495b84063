"""Figures, each a class registered by name in a module of this package.

A figure has three static methods, and reads nothing else:

    summarise(**tables) -> DataFrame    the numbers that are plotted, tidy, from the tables
                                        that it was registered with
    draw(table) -> Figure               the picture of those numbers
    caption(table) -> str               plain text that says what the numbers show, with empty
                                        lines between paragraphs

The facts given at registration: `title`; `study`; `tables`, the names of the study's tables that
`summarise` takes; `needs`, what a benchmark must have to be in the figure: methods ("pruned", ...),
optional sections ("el2n", "flatness", "activations"), or variants of a kind ("noise": temporary
noise; "rates": filters pruned at several iterative rates). A new module here with a registered
class is a new target of the workflow.
"""
