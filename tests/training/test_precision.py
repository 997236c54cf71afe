"""bfloat16 where it is asked for or computed natively, and nowhere else."""

import pytest
import torch

from dermaflux.domain.errors import InvalidRequest
from training.precision import autocast, check_precision


def product_dtype(precision):
    with autocast(precision, "cpu"):
        return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype


def test_a_stated_precision_is_the_one_that_computes():
    assert product_dtype("fp32") == torch.float32
    assert product_dtype("bf16") == torch.bfloat16


@pytest.mark.parametrize("native", [True, False])
def test_auto_takes_bf16_only_where_the_processor_has_it(monkeypatch, native):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    assert product_dtype("auto") == (torch.bfloat16 if native else torch.float32)


def test_another_word_is_refused_with_the_choices():
    with pytest.raises(InvalidRequest, match="auto, fp32 or bf16"):
        check_precision("fp8")
