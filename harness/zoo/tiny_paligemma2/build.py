"""Rebuild tiny-paligemma2 and its SAE: `python -m harness.zoo.tiny_paligemma2.build`.

27 minutes were measured on two cores that had other work to do, too.
"""

from __future__ import annotations

import json
from pathlib import Path

HERE = Path(__file__).parent
BASE = HERE.parent / "tiny_gemma2"


def main() -> None:
    """Train the model, then the SAE, then measure both and write the card."""
    from harness.zoo.tiny_paligemma2 import card, measure, train_model, train_sae

    figures = train_model.run(BASE / "model", HERE / "model")
    print(json.dumps(figures), flush=True)
    train_sae.run(HERE / "model", HERE / "sae")
    card.write_card({**figures, **measure.run(HERE, BASE)}, HERE)


if __name__ == "__main__":
    main()
