"""What the label picture of a rendered frame means: who was drawn last at each pixel."""

import numpy as np

from .mesh import PARTS

NOTHING, OBJECT, BYSTANDER = 0, 1, 2
FIRST_PERSON = len(PARTS)  # person p, part k has the label FIRST_PERSON * (p + 1) + k
MOST_PEOPLE = 12
OVERSAMPLING = 2  # label pixels per picture pixel, each way


def person_label(person: int, part: int | np.ndarray) -> int | np.ndarray:
    """Label of a part (index into PARTS) of person number `person`."""
    return FIRST_PERSON * (person + 1) + part
