"""Rules that decide a claim from the tidy tables, as configuration states them.

Every rule comes down to one value for each seed (a paired difference, a ratio, a slope, a
difference of ranges) that is held against a reference, or to one correlation or its change.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from gst.recipe import Frozen

Expectation = Literal["lower", "higher", "match", "not lower", "not higher"]
Text = Annotated[str, Field(min_length=1)]


class Range(Frozen):
    """Values strictly between two bounds."""

    above: float | None = None
    below: float | None = None


Filter = str | float | tuple[str | float, ...] | Range


class Rows(Frozen):
    """One column of some rows of a table."""

    table: Literal[
        "runs", "selected", "subgroups", "subgroup_levels", "left_out", "flatness", "curves"
    ]
    quantity: Text
    """The column, or one of `DERIVED`."""
    where: dict[str, Filter] = Field(default={})
    """For each column the value, the values or the range that a row must have. "last" as the
    value of a numeric column means the largest one of each benchmark, noise and method. Of numbers
    that are listed, none may be absent. A published benchmark means the one of the study that is
    it or stands for it; two of them can be compared."""


class Tested(Frozen):
    """What is tested of a rule's value."""

    expect: Expectation | None = None
    """Direction of the tested value against its reference; null tests the number alone."""
    margin: Annotated[float, Field(ge=0)] = 0.0
    """Smallest difference that counts, in the unit of the tested value."""
    within: tuple[float, float] | None = None
    """Published value or range, tested at the published scale."""

    @model_validator(mode="after")
    def _decides(self) -> Self:
        if self.expect is None and self.within is None:
            raise ValueError("a rule needs `expect`, `within` or both")
        if self.within and self.within[0] > self.within[1]:
            raise ValueError(f"within should run from low to high, found {self.within}")
        if self.expect in ("match", "not lower", "not higher") and self.margin == 0:
            raise ValueError(f"`expect: {self.expect}` needs a margin above 0")
        return self


class Compare(Tested):
    """The difference a - b of two means, paired by seed."""

    kind: Literal["compare"]
    a: Rows
    b: Rows | float = 0.0


class Ratio(Tested):
    """The ratio of mean magnitudes |a| / |b|, paired by seed and held against 1."""

    kind: Literal["ratio"]
    a: Rows
    b: Rows


class Trend(Tested):
    """The slope of a - b over a numeric column, one slope a seed."""

    kind: Literal["trend"]
    a: Rows
    b: Rows | float = 0.0
    over: Text


class Correlate(Tested):
    """The correlation of a with another column of its table, over all selected rows."""

    kind: Literal["correlate"]
    a: Rows
    over: Text
    statistic: Literal["pearson", "kendall"] = "pearson"


class Spread(Tested):
    """The difference of two ranges over the values of a column, paired by seed.

    A range is the largest mean of a seed minus its smallest one.
    """

    kind: Literal["spread"]
    a: Rows
    b: Rows
    over: Text


class CorrelationDifference(Tested):
    """Pearson's correlation of two columns among the rows a, minus that among the rows b.

    The interval resamples the seeds that both have.
    """

    kind: Literal["correlation-difference"]
    a: Rows
    b: Rows
    over: Text


class CorrelationTrend(Tested):
    """The slope over a numeric column of Pearson's correlation among the rows with each value.

    The interval resamples the seeds that all values have.
    """

    kind: Literal["correlation-trend"]
    a: Rows
    over: Text
    by: Text


TwoSided = Compare | Ratio | Trend | Spread | CorrelationDifference
Simple = Annotated[TwoSided | Correlate | CorrelationTrend, Field(discriminator="kind")]


class Count(Frozen):
    """In how many cases, such as benchmark and noise level, another rule holds.

    It fails only when more cases fail than chance explains: at least as unlikely, by the
    binomial distribution, as a single comparison that comes out on the wrong side.
    """

    kind: Literal["count"]
    each: Annotated[tuple[Text, ...], Field(min_length=1)]
    """Columns whose combinations of values, among the rows `a` of the rule, are the cases. They
    hold for `b` as well, but for columns that `b` itself restricts."""
    rule: Simple
    at_least: PositiveInt | None = None
    """Number of cases in which it should hold; all if null. With fewer or more cases than
    `of`, the same share."""
    of: PositiveInt | None = None
    """Number of cases in the paper."""

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if (self.at_least is None) != (self.of is None):
            raise ValueError("give both `at_least` and `of`, or neither")
        if self.at_least and self.of and self.at_least > self.of:
            raise ValueError(f"at_least ({self.at_least}) is more than of ({self.of})")
        return self

    def needed(self, cases: int) -> int:
        """Return in how many of a number of cases the rule should hold."""
        return -(-self.at_least * cases // self.of) if self.at_least and self.of else cases


Rule = Annotated[TwoSided | Correlate | CorrelationTrend | Count, Field(discriminator="kind")]
