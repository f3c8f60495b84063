from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.slurm.cluster import Cluster, hindrance
from tests.workflow.conftest import clone  # noqa: F401

REQUIRED = "GST_SLURM_TESTS"
"""Environment variable; where it is "required", a test that cannot run fails."""


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster of three nodes, for this session."""
    if why := hindrance():
        if os.environ.get(REQUIRED) == "required":
            pytest.fail(why)
        pytest.skip(why)
    root = Path(tempfile.mkdtemp(prefix="slurm-"))
    root.chmod(0o755)
    made = Cluster(root)
    try:
        made.start()
        yield made
    finally:
        made.close()
    shutil.rmtree(root)
