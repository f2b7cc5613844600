"""Names for the arrays that travel between the rooms."""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]  # (n, d)
Vector = NDArray[np.float64]  # (n,)
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]
