"""Random draws for the demo shop, one named stream per subject, so that subjects do not disturb each other."""

import zlib

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Shares = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


def stream(seed: int, subject: str) -> np.random.Generator:
    """The random numbers of one subject; the same seed and subject always give the same ones."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(subject.encode())])))


def column_per_row(rng: np.random.Generator, weights: Shares) -> Ints:
    """For each row one column number, with probability proportional to the row's weights (not all zero)."""
    steps = np.cumsum(weights, axis=1, dtype=np.float32)
    total = steps[:, -1]
    thrown = np.minimum(rng.random(len(weights), dtype=np.float32) * total, np.nextafter(total, np.float32(0)))
    drawn: Ints = (steps <= thrown[:, None]).sum(axis=1)
    return drawn


def tastes(rng: np.random.Generator, averages: Shares, concentration: float) -> Shares:
    """One row of shares (summing to 1) around each row of averages; a low concentration makes rows differ strongly."""
    drawn = rng.standard_gamma(averages * concentration, dtype=np.float32) + averages * np.float32(0.02)
    shares: Shares = drawn / drawn.sum(axis=1, keepdims=True)
    return shares


def within(rng: np.random.Generator, first: Ints, last: Ints) -> Ints:
    """One whole number each, uniform from `first` to `last`; `first` where last is not after it."""
    drawn: Ints = first + (rng.random(len(first)) * np.maximum(last - first + 1, 1)).astype(np.int64)
    return drawn


def one_of(rng: np.random.Generator, count: int, shares: dict[str, float]) -> npt.NDArray[np.str_]:
    """`count` words drawn with the given shares (summing to 1)."""
    words = np.array(list(shares))
    return words[np.searchsorted(np.cumsum(list(shares.values()))[:-1], rng.random(count), side="right")]
