from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from gst.planning.jobs import Job, longest_chain


def paths(jobs: list[Job], last: int) -> Iterator[list[int]]:
    """Yield every way from a job without predecessors to `last`."""
    if not jobs[last].after:
        yield [last]
    for before in jobs[last].after:
        for path in paths(jobs, before):
            yield [*path, last]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Job], list[float]]:
    jobs: list[Job] = []
    for number in range(draw(st.integers(1, 7))):
        after = draw(st.sets(st.integers(0, number - 1))) if number else set()
        rule, waiting = draw(st.sampled_from("ab")), draw(st.booleans())
        jobs.append(Job(rule, {}, waiting=waiting, after=tuple(after)))
    seconds = [draw(st.integers(1, 9)) for _ in jobs]
    return jobs, [float(s) for s in seconds]


@given(graphs(), st.sampled_from(["a", "ab"]))
def test_no_path_takes_longer(graph: tuple[list[Job], list[float]], rules: str) -> None:
    jobs, seconds = graph
    found = longest_chain(jobs, seconds, rules)
    chains = [
        [number for number in path if jobs[number].waiting and jobs[number].rule in rules]
        for last in range(len(jobs))
        for path in paths(jobs, last)
    ]
    costs = {(len(chain), sum(seconds[number] for number in chain)) for chain in chains}
    assert found[1] == max(cost for _, cost in costs)
    assert found in costs


def test_nothing_waits() -> None:
    assert longest_chain([Job("a", {}, waiting=False)], [5.0], "a") == (0, 0)
    assert longest_chain([], [], "a") == (0, 0)
