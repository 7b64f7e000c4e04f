"""Batches made ahead are those that are made when they are asked for."""

import subprocess
import sys

# In a process of its own: the tests' has threads, which no forked worker should inherit.
ASKED = """
import os

import numpy as np

from jsd.training.ahead import Ahead


def made(number):
    return number * number, np.full(3, number), os.getpid()


here, ahead = Ahead(made, 0), Ahead(made, 2, stride=3)
for number in (4, 7, 10, 5, 8):  # a run that goes on begins elsewhere
    (square, array, process), (own, other, worker) = here(number), ahead(number)
    assert (square, array.tolist()) == (own, other.tolist()) and isinstance(other, np.ndarray)
    assert process == os.getpid() != worker
ahead.close()
print("the same")
"""


def test_workers_make_what_is_asked_for_in_its_order() -> None:
    done = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, check=False)
    assert done.stdout == "the same\n", done.stderr
