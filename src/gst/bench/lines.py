"""What the benchmark measures, as lines of text."""

from __future__ import annotations

from gst.bench.records import (
    Agreement,
    Augmentation,
    Copy,
    Evaluation,
    Failure,
    Machine,
    Network,
    Plain,
    Processes,
    Product,
    Record,
    Start,
    Training,
)


def title(machine: Machine) -> str:
    """Return what is measured on."""
    return (
        f"{machine.device}, {machine.threads} threads, torch {machine.torch}, batch "
        f"{machine.batch_size}, {machine.date}"
    )


def line(record: Record) -> str:
    """Return a record as a line; a network as the head of its table."""
    match record:
        case Product(precision=precision, size=size, operations_per_second=rate):
            return f"matrix product {precision:8} {rate / 1e12:9.3f} T operations/s (size {size})"
        case Copy(bytes_per_second=rate):
            return f"copy                    {rate / 1e9:9.1f} GB/s"
        case Network():
            return (
                f"\n{record.network}, {record.precision}: "
                f"{record.training_operations_per_image / 1e6:.3g} M operations an image trained, "
                f"{record.bytes_per_step / 1e6:.3g} MB a step\n"
                f"{'mode':8} {'replicates':>10} {'steps/s':>9} {'images/s':>9} {'gain':>6} "
                f"{'product':>8} {'roofline':>8} {'MB':>7}"
            )
        case Training():
            gain = "" if record.gain is None else f"{record.gain:.2f}"
            return (
                f"{record.mode:8} {record.replicates:10} {record.steps_per_second:9.4g} "
                f"{record.images_per_second:9.0f} {gain:>6} {record.share_of_product:8.1%} "
                f"{record.share_of_roofline:8.1%} {record.peak_memory_mb:7.0f}"
            )
        case Failure():
            return f"{record.mode:8} {record.replicates:10} {record.reason}"
        case Evaluation(images_per_second=rate):
            return f"evaluation: {rate:.0f} images/s"
        case Augmentation():
            share = record.share_of_step
            return (
                f"batch gathered in {1e3 * record.gather_seconds_per_batch:.2f} ms, flip and crop "
                f"{1e3 * record.augmentation_seconds_per_batch:.2f} ms"
                + ("" if share is None else f", {share:.1%} of a step of one replicate")
            )
        case Plain():
            ratio = "" if record.ratio is None else f"; one replicate here: {record.ratio:.2f} x"
            return (
                f"plain loop: {record.images_per_second:.0f} images/s with {record.workers} "
                f"workers{ratio}"
            )
        case Processes():
            return (
                f"{record.replicates} replicates, {record.steps} steps: one cohort "
                f"{record.cohort_seconds:.1f} s, processes, {record.processes} at a time, "
                f"{record.separate_seconds:.1f} s"
            )
        case Agreement():
            return (
                f"{record.network:14} {record.way:8} accuracy {record.accuracy:6.1%}, "
                f"{100 * record.change:+.2f} [{100 * record.low:+.2f}, {100 * record.high:+.2f}] "
                f"points from eager (n = {record.seeds}); first losses within "
                f"{record.difference:.1e}"
            )
        case Start(seconds=seconds):
            return f"start to first step and end of a process: {seconds:.1f} s"
