"""Units by labels: a label shared by several prompts makes them one unit; None is a unit of its own."""

import numpy as np

from harness.stats.units import Grouping, design_of, in_order_of_appearance


def grouping_of(labels):
    numbers = {}
    unit = [numbers.setdefault(("own", i) if x is None else x, len(numbers)) for i, x in enumerate(labels)]
    rank, whole = np.arange(len(labels)), np.array([x is not None for x in labels], bool)
    return Grouping(in_order_of_appearance(np.array(unit, np.int64)), rank, whole)


def units_of(labels, use=None):
    return grouping_of(labels).units(use)


def design_by(positive, negative, use_positive=None, use_negative=None):
    return design_of(grouping_of(positive), grouping_of(negative), use_positive, use_negative)
