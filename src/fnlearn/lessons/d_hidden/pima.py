"""The Pima diabetes table, as both sides of lesson D read it."""

import csv
from pathlib import Path

import numpy as np

COLUMNS = ("pregnant", "glucose", "pressure", "triceps", "insulin", "mass", "pedigree", "age", "diabetes")
TABLE = Path(__file__).with_name("pima_diabetes.csv")

Split = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def load(path: Path = TABLE) -> Split:
    """The measurements and labels of the training rows (4 of 5) and of the test rows (every fifth).

    Args: path: a CSV file with the columns of `COLUMNS`; the last is 0 or 1.
    Returns: x (rows, 8), y (rows, 1), x_test, y_test in float64, standardised by the training rows' mean and deviation.
    Raises: ValueError that names the file and the line when it can't be read or a row is malformed.
    Source: `pima_diabetes.md` beside this file.
    """
    table = _read(path)
    if len(table) < 10:
        raise ValueError(f"{path}: at least 10 rows are needed for a split, got {len(table)}")
    test = np.arange(len(table)) % 5 == 4
    x, y = table[:, :-1], table[:, -1:]
    mean, deviation = x[~test].mean(0), x[~test].std(0)
    if not deviation.all():
        raise ValueError(f"{path}: column {COLUMNS[int(deviation.argmin())]} is constant and can't be standardised")
    x = (x - mean) / deviation
    return x[~test], y[~test], x[test], y[test]


def _read(path: Path) -> np.ndarray:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: can't be read: {getattr(error, 'strerror', None) or error}") from error
    rows = list(csv.reader(lines))
    if not rows or tuple(rows[0]) != COLUMNS:
        raise ValueError(f"{path}: the first line must be {','.join(COLUMNS)}")
    return np.array([_row(path, number, row) for number, row in enumerate(rows[1:], start=2)])


def _row(path: Path, number: int, row: list[str]) -> list[float]:
    if len(row) != len(COLUMNS):
        raise ValueError(f"{path}, line {number}: {len(COLUMNS)} values expected, got {len(row)}")
    try:
        values = [float(text) for text in row]
    except ValueError as error:
        raise ValueError(f"{path}, line {number}: {error}") from error
    if not np.isfinite(values).all():
        raise ValueError(f"{path}, line {number}: every value must be finite, got {','.join(row)}")
    if values[-1] not in (0.0, 1.0):
        raise ValueError(f"{path}, line {number}: diabetes must be 0 or 1, got {row[-1]}")
    return values
