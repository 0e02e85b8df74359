"""Rows of linear algebra and of Fourier transforms."""

from functools import partial
from typing import Any

import torch

from fnlearn.port.table import ndim, row, with_

for _name in ("det", "inv", "eig", "eigvals", "slogdet"):
    row(f"linalg.{_name}", "A", f"jnp.linalg.{_name}(A)")
row("det", "input", "jnp.linalg.det(input)")
row("slogdet", "input", "jnp.linalg.slogdet(input)")
row("logdet", "input", "jnp.linalg.slogdet(input)[1]")
row("inverse", "input", "jnp.linalg.inv(input)")
row("linalg.inv_ex", "A, *, check_errors=False", ["jnp.linalg.inv(A)", "jnp.zeros(A.shape[:-2], jnp.int32)"])
row("linalg.cholesky", "A, *, upper=False", lambda a: "jnp.linalg.cholesky(A, upper=upper)")
row(
    "linalg.cholesky_ex",
    "A, *, upper=False, check_errors=False",
    ["jnp.linalg.cholesky(A, upper=upper)", "jnp.zeros(A.shape[:-2], jnp.int32)"],
)
row("cholesky", "input, upper=False", "jnp.linalg.cholesky(input, upper=upper)")
row("cholesky_solve", "B, L, upper=False", lambda a: _cholesky_solve(a, "B"))
row(
    "cholesky_inverse",
    "L, upper=False",
    lambda a: _cholesky_solve(a, "jnp.broadcast_to(jnp.eye(L.shape[-1], dtype=L.dtype), L.shape)"),
)


def _cholesky_solve(a: Any, right: str) -> str:
    a.low = not a.upper
    return f"jax.scipy.linalg.cho_solve((L, low), {right})"


row(
    "linalg.qr",
    "A, mode='reduced'",
    lambda a: (
        ["jnp.zeros(0, A.dtype)", "jnp.linalg.qr(A, mode='r')"] if a.mode == "r" else "jnp.linalg.qr(A, mode=mode)"
    ),
)
row("qr", "input, some=True", lambda a: f"jnp.linalg.qr(input, mode='{'reduced' if a.some else 'complete'}')")
row("linalg.eigh", "A, UPLO='L'", "jnp.linalg.eigh(A, UPLO=UPLO, symmetrize_input=False)")
row("linalg.eigvalsh", "A, UPLO='L'", "jnp.linalg.eigvalsh(A, UPLO=UPLO, symmetrize_input=False)")
row("linalg.svd", "A, full_matrices=True, *, driver=None", "jnp.linalg.svd(A, full_matrices=full_matrices)")
row("linalg.svdvals", "A, *, driver=None", "jnp.linalg.svd(A, compute_uv=False)")
row(
    "svd",
    "input, some=True, compute_uv=True",
    lambda a: with_(
        a,
        full=not a.some,
        then=[
            "jnp.linalg.svd(input, full_matrices=full)[0]",
            "jnp.linalg.svd(input, compute_uv=False)",
            "jnp.conj(jnp.linalg.svd(input, full_matrices=full)[2].mT)",
        ],
    ),
)
row("linalg.solve", "A, B, *, left=True", lambda a: _solve(a))
row(
    "linalg.solve_ex",
    "A, B, *, left=True, check_errors=False",
    lambda a: [_solve(a), "jnp.zeros(A.shape[:-2], jnp.int32)"],
)


def _solve(a: Any) -> str:
    vector = ndim(a.B) == 1 or (ndim(a.B) == ndim(a.A) - 1 and tuple(a.B.shape) == tuple(a.A.shape[:-1]))
    if vector:
        return "jnp.linalg.solve(A, B[..., None])[..., 0]"
    return "jnp.linalg.solve(A, B)" if a.left else "jnp.linalg.solve(A.mT, B.mT).mT"


row(
    "linalg.solve_triangular",
    "A, B, *, upper, left=True, unitriangular=False",
    lambda a: with_(
        a,
        low=not a.upper,
        then="jax.lax.linalg.triangular_solve(A, B, left_side=left0, lower=low, unit_diagonal=unitriangular)",
        left0=a.left,
    ),
)
row(
    "triangular_solve",
    "b, A, upper=True, transpose=False, unitriangular=False",
    lambda a: with_(
        a,
        low=not a.upper,
        then=[
            "jax.lax.linalg.triangular_solve("
            "A, b, left_side=True, lower=low, transpose_a=transpose, unit_diagonal=unitriangular)",
            "A",
        ],
    ),
)
row("linalg.matrix_power matrix_power", "A, n", "jnp.linalg.matrix_power(A, n)")
row("linalg.matrix_exp matrix_exp", "A", "jax.scipy.linalg.expm(A)")
row("linalg.multi_dot", "tensors", "jnp.linalg.multi_dot(tensors)")
row("chain_matmul", "*tensors", lambda a: with_(a, tensors=list(a.tensors), then="jnp.linalg.multi_dot(tensors)"))
row("linalg.vecdot", "x, y, *, dim=-1", "jnp.linalg.vecdot(x, y, axis=dim)")
row("linalg.tensorinv", "A, ind=2", "jnp.linalg.tensorinv(A, ind)")
row("linalg.tensorsolve", "A, B, dims=None", lambda a: _tensorsolve(a))
row(
    "linalg.vander",
    "x, N=None",
    lambda a: with_(
        a, n=(a.x.shape or (1,))[-1] if a.N is None else a.N, then="jnp.atleast_1d(x)[..., None] ** jnp.arange(n)"
    ),
)
row("vander", "x, N=None, increasing=False", "jnp.vander(x, N, increasing=increasing)")
row(
    "linalg.diagonal",
    "A, *, offset=0, dim1=-2, dim2=-1",
    lambda a: with_(a, k=a.offset, first=a.dim1, second=a.dim2, then="jnp.diagonal(A, k, first, second)"),
)
row("linalg.matrix_rank", "A, tol=None, hermitian=False, *, atol=None, rtol=None", lambda a: _rank(a))
row("linalg.cond", "A, p=None", "jnp.linalg.cond(A, p=p)")
row("linalg.lu_factor", "A, *, pivot=True", ["jax.lax.linalg.lu(A)[0]", "jax.lax.linalg.lu(A)[1] + 1"])
row(
    "linalg.lu_factor_ex",
    "A, *, pivot=True, check_errors=False",
    ["jax.lax.linalg.lu(A)[0]", "jax.lax.linalg.lu(A)[1] + 1", "jnp.zeros(A.shape[:-2], jnp.int32)"],
)
row(
    "linalg.lu",
    "A, *, pivot=True",
    lambda a: (
        "jax.scipy.linalg.lu(A)"
        if ndim(a.A) == 2
        else "jnp.vectorize(jax.scipy.linalg.lu, signature='(m,n)->(m,m),(m,k),(k,n)')(A)"
    ),
)
row(
    "linalg.lu_solve",
    "LU, pivots, B, *, left=True, adjoint=False",
    lambda a: _lu_solve(a),
)
row("lu_solve", "b, LU, pivots", "jax.scipy.linalg.lu_solve((LU, pivots - 1), b)")
row("linalg.householder_product orgqr", "A, tau", "jax.lax.linalg.householder_product(A, tau)")
row("geqrf", "A", "jax.lax.linalg.geqrf(A)")
row("linalg.pinv", "A, *, atol=None, rtol=None, hermitian=False, rcond=None", lambda a: _pinv(a))
row("pinverse", "A, rcond=1e-15", "jnp.linalg.pinv(A, rtol=rcond)")


def _tensorsolve(a: Any) -> str:
    a.rest = tuple(a.A.shape[ndim(a.B) :])
    moved = "A"
    if a.dims is not None:
        a.last = tuple(range(-len(a.dims), 0))
        moved = "jnp.moveaxis(A, dims, last)"
        a.rest = tuple([n for i, n in enumerate(a.A.shape) if i not in a.dims] + [a.A.shape[i] for i in a.dims])
        a.rest = a.rest[ndim(a.B) :]
    return f"jnp.linalg.solve({moved}.reshape(B.size, -1), B.ravel()).reshape(rest)"


def _lu_solve(a: Any) -> str:
    if a.left:
        return f"jax.scipy.linalg.lu_solve((LU, pivots - 1), B, trans={2 if a.adjoint else 0})"
    if a.adjoint:
        return "jax.scipy.linalg.lu_solve((LU, pivots - 1), jnp.conj(B.mT)).mT.conj()"
    return "jax.scipy.linalg.lu_solve((LU, pivots - 1), B.mT, trans=1).mT"


def _rank(a: Any) -> str:
    a.least = a.atol if a.tol is None else a.tol
    if a.least is None and a.rtol is None and not a.hermitian:
        return "jnp.linalg.matrix_rank(A)"
    values = "jnp.abs(jnp.linalg.eigvalsh(A))" if a.hermitian else "jnp.linalg.svd(A, compute_uv=False)"
    if a.least is None and a.rtol is None:  # torch's own default
        a.rtol = a.A.shape[-1] * torch.finfo(getattr(torch, a.A.dtype)).eps
    least = "jnp.asarray(least)[..., None]" if a.least is not None else "0.0"
    if a.rtol is not None:
        least = f"jnp.maximum({least}, jnp.asarray(rtol)[..., None] * {values}.max(-1, keepdims=True, initial=0))"
    return f"({values} > {least}).sum(-1)"


def _pinv(a: Any) -> str:
    a.rtol = a.rcond if a.rtol is None else a.rtol
    if a.hermitian:  # torch reads the lower triangle alone
        return "jnp.linalg.pinv(jnp.tril(A) + jnp.conj(jnp.tril(A, -1).mT), rtol=rtol, hermitian=hermitian)"
    return "jnp.linalg.pinv(A, rtol=rtol)"


def _matrix_norm(a: Any) -> str:
    a.dim = tuple(a.dim)
    if a.dim == (-2, -1):
        return "jnp.linalg.matrix_norm(A, ord=ord, keepdims=keepdim)"
    return "jnp.linalg.norm(A, ord=ord, axis=dim, keepdims=keepdim)"


row("linalg.matrix_norm", "A, ord='fro', dim=(-2, -1), keepdim=False, *, dtype=None", _matrix_norm)


def _fftn(name: str, a: Any) -> str:
    a.s = (a.s,) if isinstance(a.s, int) else a.s
    a.dim = (a.dim,) if isinstance(a.dim, int) else a.dim
    if a.s is not None and a.dim is None:
        a.dim = tuple(range(-len(a.s), 0))
    if name.endswith("2") and len(a.dim) != 2:
        name = name.replace("2", "n")
    return f"jnp.fft.{name}(input, s=s, axes=dim, norm=norm)"


for _name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft"):
    row(f"fft.{_name}", "input, n=None, dim=-1, norm=None", f"jnp.fft.{_name}(input, n=n, axis=dim, norm=norm)")
for _name in ("fft2", "ifft2", "rfft2", "irfft2"):
    row(f"fft.{_name}", "input, s=None, dim=(-2, -1), norm=None", partial(_fftn, _name))


for _name in ("fftn", "ifftn", "rfftn", "irfftn"):
    row(f"fft.{_name}", "input, s=None, dim=None, norm=None", partial(_fftn, _name))
for _name in ("fftshift", "ifftshift"):
    row(f"fft.{_name}", "input, dim=None", f"jnp.fft.{_name}(input, axes=dim)")
row(
    "fft.fftfreq",
    "n, d=1.0, *, dtype=None, device=None, requires_grad=False, layout=None",
    "jnp.fft.fftfreq(n, d, dtype=dtype)",
)
row(
    "fft.rfftfreq",
    "n, d=1.0, *, dtype=None, device=None, requires_grad=False, layout=None",
    "jnp.fft.rfftfreq(n, d, dtype=dtype)",
)
