"""The words of the tiny world, by category. Every word is one token of tiny-gemma2's tokenizer.

The slot words of both prompt files are in here (a word that the model never saw has no meaning to it);
their sentences are not: interp_tests/test_zoo_tiny.py holds the training text against them.
"""

from __future__ import annotations

NUMBER = """two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand""".split()

COLOR = """red blue green black brown purple golden crimson turquoise beige scarlet maroon yellow white pink
orange gray violet silver teal navy lavender indigo magenta""".split()

# Adjectives that are neither colors nor numbers: what color words must be told apart from.
PLAIN = """small large heavy wooden broken empty clean cheap round soft warm wet dry old new strange simple
famous ordinary long short bright shiny dirty tiny wide narrow fresh smooth rough quiet modern
ancient useful ugly pretty fine strong weak light dark plain common special""".split()

ANIMAL = """dog horse rabbit lion sheep mouse tiger duck wolf goat monkey snake frog eagle donkey squirrel cat
cow pig bear fox elephant chicken deer turtle camel zebra owl goose leopard hamster parrot bird
whale""".split()

OBJECT = """chair lamp bottle clock hammer basket mirror guitar wallet ladder kettle suitcase pillow radio
bucket umbrella table phone knife box computer camera piano helmet blanket vase drum candle shovel
bicycle violin carpet cup book door window bag pen hat coat wheel spoon key plate rope screen""".split()

# Plurals that an "s" does not make.
PLURALS = {
    "wolf": "wolves",
    "fox": "foxes",
    "knife": "knives",
    "box": "boxes",
    "mouse": "mice",
    "goose": "geese",
    "sheep": "sheep",
    "deer": "deer",
}

PERSON = """man woman child boy girl teacher doctor farmer sailor friend king nurse baker artist driver student
mother father neighbor guard soldier writer singer uncle sister brother""".split()

PLACE = """house garden river street school market forest village station kitchen bridge park hill field church
office library beach castle room yard valley harbor hotel shop tower island town road lake wall gate""".split()

ABSTRACT = """freedom justice love truth hope courage wisdom peace beauty faith honesty equality liberty jealousy
creativity loyalty logic gratitude morality ambition trust knowledge friendship democracy mercy
innocence imagination tradition ignorance fate solitude pride essence responsibility optimism envy
science forgiveness integrity infinity culture prejudice tolerance existence education greed
eternity reason virtue duty happiness doubt progress sorrow dignity humility compassion grief theory
principle power meaning identity memory devotion authority philosophy concept ideal belief respect fear
desire experience loss law patience success revenge understanding reform conflict spirit decision habit
criticism opinion maturity mystery independence community notion promise comfort""".split()

ACTION = """walked jumped threw danced climbed pushed carried stumbled knocked marched kicked lifted crawled
waved grabbed clapped swam escaped chopped skipped dragged poured shook dug rushed tossed slipped
hurried leaped stirred paddled chased crept spun hauled hopped limped stretched slammed wiped
wandered pointed dived scrubbed plowed wrestled twisted sprinted ran pulled swept bowed fled turned
grasped tasted""".split()

ADVERB = """slowly quickly suddenly carefully quietly again yesterday today together early late soon twice""".split()

SPATIAL = """above below behind beside under between inside outside near around across beyond through along among
beneath opposite against toward within underneath upon atop over""".split()
SPATIAL_PHRASES = """on top of|next to|in front of|to the left of|to the right of|at the end of|in the middle of|
to the north of|to the south of|on the corner of|far away from|close to|at the bottom of|on either side of|
adjacent to|at the edge of""".replace("\n", "").split("|")

CATEGORIES = {
    "number": NUMBER,
    "color": COLOR,
    "animal": ANIMAL,
    "object": OBJECT,
    "abstract": ABSTRACT,
    "action": ACTION,
    "spatial": SPATIAL,
}


def words() -> list[str]:
    """Every word of the world once, in a fixed order."""
    lists = [*CATEGORIES.values(), PLAIN, PERSON, PLACE, ADVERB, " ".join(SPATIAL_PHRASES).split()]
    return list(dict.fromkeys(word for one in lists for word in one))
