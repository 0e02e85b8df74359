"""The models of the gallery: what is there is what the porter writes, and it is the same model."""

from pathlib import Path

import jax
import pytest

from fnlearn import equivalence
from gallery import models, page

GALLERY = Path(models.__file__).parent


@pytest.mark.parametrize("name", models.NAMES)
def test_the_text_is_what_the_porter_writes(name):
    assert (GALLERY / name / "model.py").read_text() == models.written(name).source, f"run python -m gallery {name}"


def test_the_page_shows_what_is_there():
    assert page.PAGE.read_text() == page.page(), "run python -m gallery"


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", models.NAMES)
def test_it_is_the_same_model(name):
    module, inputs = models.example(name)
    made = models.written(name)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        both = equivalence.pair(module, made.apply, made.params, made.buffers)
        for ask in (equivalence.forward, equivalence.backward):
            answer = ask(both, inputs, dtypes=["float64"])
            assert answer.ok, answer
