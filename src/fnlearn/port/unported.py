"""What of torch has no JAX expression, and why."""

__all__ = ["CORE_UNPORTED", "GRADIENTS_DIFFER", "UNPORTED"]

NUMBERS = "needs a tensor's numbers while the program is traced: what comes out has as many numbers as they say"
NO_JAX = "a special function that JAX has not"
STRIDES = "reads memory by strides, and JAX arrays have none: index, reshape or slice instead"
SPARSE = "JAX's sparse arrays are another library's (`jax.experimental.sparse`)"
INSIDE = "torch's own inner function, which no model calls"
NO_LAPACK = "a factorisation that JAX has not"

UNPORTED: dict[str, str] = {
    **dict.fromkeys(("fft.hfft2", "fft.hfftn"), "JAX has `hfft` and `ihfft` for one dimension"),
    **dict.fromkeys(("polygamma", "special.polygamma"), "JAX's is right for positive numbers alone"),
    "combinations": "torch counts numbers while it works; index with the combinations of `itertools`",
    "mode": "which of several places torch names is not defined",
    "histogramdd": "use `jax.numpy.histogramdd`",
    "chalf": "JAX has no complex numbers of two float16",
    **dict.fromkeys(
        (
            "item",
            "equal",
            "allclose",
            "nonzero",
            "argwhere",
            "unique",
            "unique_consecutive",
            "masked_select",
            "bincount",
        ),
        NUMBERS,
    ),
    **dict.fromkeys(
        ("nn.functional.ctc_loss", "nn.functional.gaussian_nll_loss"),
        "torch looks at the numbers to check them; call `fnlearn.functional`'s on the model's outputs",
    ),
    **dict.fromkeys(("cov", "corrcoef", "istft", "linalg.lstsq"), "torch looks at the numbers to check them"),
    **dict.fromkeys(("as_strided", "as_strided_copy", "as_strided_scatter", "resize_", "resize_as_"), STRIDES),
    **dict.fromkeys(("sparse.mm", "sparse.sampled_addmm", "to_sparse"), SPARSE),
    **dict.fromkeys(
        (
            "_batch_norm_with_update",
            "_native_batch_norm_legit",
            "_segment_reduce",
            "_upsample_bilinear2d_aa",
            "hash_tensor",
            "max_pool2d_with_indices_backward",
            "native_batch_norm",
        ),
        INSIDE,
    ),
    **dict.fromkeys(
        (
            "jiterator_unary",
            "jiterator_binary",
            "jiterator_binary_return_by_ref",
            "jiterator_2inputs_2outputs",
            "jiterator_4inputs_with_extra_args",
        ),
        "CUDA source in a string",
    ),
    **dict.fromkeys(
        ("linalg.ldl_factor", "linalg.ldl_factor_ex", "linalg.ldl_solve", "lu_unpack", "geqrf", "ormqr"),
        NO_LAPACK,
    ),
    **dict.fromkeys(("svd_lowrank", "pca_lowrank"), "an approximation by random numbers; use `linalg.svd`"),
    **{
        f"special.{name}": NO_JAX
        for name in (
            "airy_ai",
            "bessel_j0",
            "bessel_j1",
            "bessel_y0",
            "bessel_y1",
            "chebyshev_polynomial_t",
            "chebyshev_polynomial_u",
            "chebyshev_polynomial_v",
            "chebyshev_polynomial_w",
            "erfcx",
            "hermite_polynomial_h",
            "hermite_polynomial_he",
            "laguerre_polynomial_l",
            "legendre_polynomial_p",
            "modified_bessel_i0",
            "modified_bessel_i1",
            "modified_bessel_k0",
            "modified_bessel_k1",
            "scaled_modified_bessel_k0",
            "scaled_modified_bessel_k1",
            "shifted_chebyshev_polynomial_t",
            "shifted_chebyshev_polynomial_u",
            "shifted_chebyshev_polynomial_v",
            "shifted_chebyshev_polynomial_w",
        )
    },
}

BACKWARD = "a derivative, which no model calls: `jax.grad` works it out"
A_NUMBER = "gives a number and not a tensor: it is worked out while the model is traced"

# Core operations of ATen without a row, which calls that have none themselves are taken apart into.
CORE_UNPORTED: dict[str, str] = {
    **dict.fromkeys(
        (
            "_adaptive_avg_pool2d_backward",
            "avg_pool2d_backward",
            "convolution_backward",
            "embedding_dense_backward",
            "max_pool2d_with_indices_backward",
            "native_group_norm_backward",
            "native_layer_norm_backward",
        ),
        BACKWARD,
    ),
    **dict.fromkeys(("sym_numel", "sym_size", "sym_storage_offset", "sym_stride"), A_NUMBER),
    **dict.fromkeys(("_local_scalar_dense", "nonzero"), NUMBERS),
    "as_strided": STRIDES,
    "_native_batch_norm_legit": "changes its arguments; `torch.nn.functional.batch_norm` has a row",
    "native_dropout": "gives its mask too; `torch.nn.functional.dropout` has a row",
    "_embedding_bag": "gives what only its derivative reads; `torch.nn.functional.embedding_bag` has a row",
}

# Operations whose outputs are torch's, and whose gradients are not.
GRADIENTS_DIFFER: dict[str, str] = {
    **dict.fromkeys(
        ("digamma", "special.digamma", "special.psi"),
        "JAX's second derivative of lgamma is right for positive numbers alone",
    ),
    **dict.fromkeys(("svd", "linalg.svd"), "JAX has no derivative with full matrices"),
    "linalg.householder_product": "JAX has none",
    **dict.fromkeys(
        ("linalg.eigh", "linalg.eigvalsh", "linalg.eig", "linalg.pinv"),
        "torch's is that of a symmetric "
        "matrix, half of it to each side of the diagonal, and vectors have no sign of their own",
    ),
    "linalg.det": "JAX has none for matrices without rows",
    "nextafter": "JAX has none",
    **dict.fromkeys(("cholesky_inverse", "cholesky_solve"), "torch's is of the whole matrix, JAX's of its triangle"),
    **dict.fromkeys(("erfinv", "special.erfinv"), "near ±1 XLA's float32 derivative is wrong in the sixth digit"),
    "linalg.norm": "at zero torch's is 0 and JAX's is not a number",
}
