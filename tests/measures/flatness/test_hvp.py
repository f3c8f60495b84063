from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from gst.measures.flatness import hvp
from gst.measures.flatness.hvp import Hessian


@pytest.mark.parametrize("chunk", [512, 4], ids=["one chunk", "three chunks"])
@pytest.mark.parametrize("kept", [512, 10], ids=["graphs kept", "graphs made again"])
def test_products_are_those_of_the_dense_hessian(
    problem: Any, chunk: int, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hvp, "_KEPT", kept)
    hessian = Hessian(problem.loss(chunk))
    vectors = torch.randn(8, hessian.size, dtype=torch.float64)
    products = torch.stack([hessian(vector) for vector in vectors])
    torch.testing.assert_close(products, vectors @ problem.hessian(), rtol=1e-10, atol=1e-12)


def test_softmax_regression_has_its_closed_form(
    regression: Any, regression_hessian: Tensor
) -> None:
    hessian = Hessian(regression.loss())
    columns = torch.stack([hessian(v) for v in torch.eye(hessian.size, dtype=torch.float64)])
    torch.testing.assert_close(columns, regression_hessian, rtol=1e-10, atol=1e-12)


def test_float32_is_close_to_float64(problem: Any) -> None:
    vector = torch.randn(Hessian(problem.loss()).size, dtype=torch.float64)
    exact = Hessian(problem.loss())(vector)
    problem.module.float()
    problem.images = problem.images.float()
    found = Hessian(problem.loss())(vector.float())
    assert found.dtype == torch.float32
    assert (found - exact).norm() <= 1e-5 * exact.norm()
