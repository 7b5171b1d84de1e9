"""Quantization: hand-computed values, properties, and bitsandbytes' own numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from homespun.planning.nf4 import dynamic_code_book, nf4, nf4_code_book
from homespun.planning.quantization import (
    absmax,
    absmax_blocks,
    int8_product,
    llm_int8_product,
    relative_error,
    zero_point,
)

#: The example of Dettmers et al. (2022), figure 2: two columns of the inputs hold outliers.
INPUTS = np.array([[2, 45, -1, -17, -1], [0, 12, 3, -63, 2], [-1, 37, -1, -83, 0]], np.float32)
WEIGHTS = np.array([[-1, 0], [2, 0], [0, -2], [3, -2], [-1, 2]], np.float32)
TRUTH = np.array([[38, 34], [-167, 124], [-174, 168]], np.float32)  # by hand


def test_absmax_by_hand() -> None:
    coded = absmax(np.array([1.0, -2.0, 0.5, 4.0], np.float32))
    assert coded.codes.tolist() == [32, -64, 16, 127]  # 127 / 4 = 31.75 codes for 1
    assert coded.values == pytest.approx([32 / 31.75, -64 / 31.75, 16 / 31.75, 4])


def test_one_value_of_1000_destroys_the_rest() -> None:
    matrix = np.array([[1.2, -0.5, 3.1], [0.8, 2.4, -1.9], [-2.2, 0.3, 1.6]], np.float32)
    assert relative_error(matrix, absmax(matrix).values) < 0.005
    spoilt = matrix.copy()
    spoilt[1, 1] = 1000
    coded = absmax(spoilt)  # a step is 1000 / 127 = 7.87: all below 3.94 is 0
    assert coded.codes.tolist() == [[0, 0, 0], [0, 127, 0], [0, 0, 0]]
    assert coded.values[1, 1] == pytest.approx(1000)
    by_row = absmax(spoilt, axis=-1)  # only its own row is lost
    assert (by_row.codes[1] == [0, 127, 0]).all()
    assert relative_error(spoilt[[0, 2]], by_row.values[[0, 2]]) < 0.005


def test_zero_point_by_hand() -> None:
    coded = zero_point(np.array([0.0, 1.0, 2.0, 3.0], np.float32), bits=2)
    assert coded.codes.tolist() == [0, 1, 2, 3]  # all four codes are used, where absmax has 0 and 1 only
    assert coded.values.tolist() == [0, 1, 2, 3]
    shifted = zero_point(np.array([-1.0, 0.0, 2.0], np.float32), bits=2)
    assert shifted.zero.item() == 1
    assert shifted.codes.tolist() == [0, 1, 3]
    assert shifted.values.tolist() == [-1, 0, 2]


def test_blocks_contain_an_outlier() -> None:
    values = np.linspace(-1, 1, 128, dtype=np.float32).reshape(1, 128)
    values[0, 70] = 1000
    restored, bits = absmax_blocks(values, block=64)
    assert bits == 8.5  # 8 + 32 / 64
    assert relative_error(values[:, :64], restored[:, :64]) < 0.01
    assert (restored[0, 64:70] == 0).all()


def test_the_product_of_the_paper() -> None:
    assert (INPUTS @ WEIGHTS == TRUTH).all()
    mixed = llm_int8_product(INPUTS, WEIGHTS)
    assert mixed.outlier_columns == (1, 3)
    # First row, 8 bits: (2, -1, -1) are codes (127, -64, -64), the first weights (-127, 0, -127), so
    # (-127 * 127 + 64 * 127) * 2 / 127^2 = -0.992 is added to 45 * 2 - 17 * 3 = 39.
    assert mixed.values[0, 0] == pytest.approx(39 - 126 / 127)
    assert np.abs(mixed.values - TRUTH).max() < 0.05
    assert np.abs(int8_product(INPUTS, WEIGHTS) - TRUTH).max() > 5 * np.abs(mixed.values - TRUTH).max()


def test_all_columns_may_be_outliers_or_none() -> None:
    assert (llm_int8_product(INPUTS, WEIGHTS, threshold=0).values == TRUTH).all()
    plain = llm_int8_product(INPUTS, WEIGHTS, threshold=1e9)
    assert plain.outlier_columns == ()
    assert (plain.values == int8_product(INPUTS, WEIGHTS)).all()


@given(arrays.arrays(np.float32, (3, 9), elements=st.floats(-1e4, 1e4, width=32)), st.sampled_from([2, 4, 8]))
def test_no_value_is_off_by_more_than_half_a_step(values: np.ndarray, bits: int) -> None:
    for coded in (absmax(values, bits=bits, axis=-1), zero_point(values, bits=bits, axis=-1)):
        limit = 0.5 * coded.step + 1e-4 * np.abs(values) + 1e-6
        if (coded.zero != 0).any():
            limit = limit + 0.5 * coded.step  # the zero point is rounded, too
        assert (np.abs(coded.values - values) <= limit).all()
        assert (coded.values[values == 0] == 0).all()


def test_nf4_code_book_and_bits() -> None:
    book = nf4_code_book()
    assert len(book) == 16
    assert (book[0], book[7], book[15]) == (-1, 0, 1)
    assert book[8] == pytest.approx(0.0795803)  # as the paper prints it
    assert len(set(dynamic_code_book().tolist())) == 256
    values = np.random.default_rng(0).normal(size=64 * 256).astype(np.float32)
    assert nf4(values).bits_per_weight == pytest.approx(4.126953125)
    assert nf4(values, is_double=False).bits_per_weight == 4.5
    four_bits, _ = absmax_blocks(values.reshape(-1, 64), bits=4)
    single = nf4(values, is_double=False).values
    assert relative_error(values, single) < relative_error(values, four_bits.reshape(-1))  # 9.1% against 11%


def test_nf4_fills_the_last_block_and_keeps_zeros() -> None:
    assert (nf4(np.zeros(70, np.float32)).values == 0).all()
    assert nf4(np.ones((7, 10), np.float32), is_double=False).values.tolist() == [1.0] * 70


@pytest.mark.long
def test_nf4_is_that_of_bitsandbytes() -> None:
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("bitsandbytes.functional")
    values = (np.random.default_rng(1).normal(size=(96, 640)) * 0.02).astype(np.float32)
    book = functional.create_normal_map().numpy()
    assert np.unique(nf4_code_book()) == pytest.approx(np.unique(book), abs=1e-6)
    assert dynamic_code_book() == pytest.approx(functional.create_dynamic_map().numpy(), abs=1e-7)
    for is_double in (False, True):
        packed, state = functional.quantize_4bit(
            torch.from_numpy(values), quant_type="nf4", blocksize=64, compress_statistics=is_double
        )
        theirs = functional.dequantize_4bit(packed, state).numpy()
        ours = nf4(values, is_double=is_double).values.reshape(values.shape)
        # A value in the middle between two codes goes either way: of 960 scales in 8 bits, one does here.
        assert (np.abs(ours - theirs) < 1e-6).mean() > (0.998 if is_double else 0.9999)
        assert relative_error(theirs, ours) < 1e-3
