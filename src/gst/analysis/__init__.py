"""From the files of finished runs to tidy tables, statistics and verdicts. Never imports torch."""
