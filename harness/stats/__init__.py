"""One definition of each statistic: firing, contrast, ranking, agreement, fidelity. Numpy in, numpy out.

Nothing here knows prompts, claims or verdicts. Functions with `all` in their name give one value per feature.
"""
