"""Everyday words for the template sentences, by category; none is a word of the test prompts."""

from __future__ import annotations

_split = str.split  # lists of words are read more easily as text

WORDS: dict[str, list[str]] = {
    "color": _split("""red blue green black brown purple golden crimson turquoise beige scarlet maroon tan cream bronze
        ivory amber olive mauve khaki burgundy cyan emerald charcoal coral"""),
    "number": [
        *_split("""two four five six eight nine eleven twelve fourteen fifteen sixteen eighteen forty sixty eighty
        2 3 5 7 12 15 24 30 48 60 75 100 250 1,000"""),
        "a hundred",
        "a dozen",
        "forty-two",
        "sixty-five",
    ],
    "animal": _split("""dog horse sheep lion tiger wolf rabbit mouse rat goat duck frog snake monkey donkey squirrel
        kangaroo giraffe gorilla panda whale dolphin shark eagle hawk crow pigeon swan penguin crab lobster spider
        beetle butterfly lizard crocodile hedgehog badger otter beaver moose buffalo bull calf lamb pony puppy
        kitten rooster hen turkey ferret raccoon skunk llama ostrich peacock flamingo sparrow cheetah"""),
    "object": _split("""chair lamp spoon fork bowl bottle basket bucket hammer screwdriver rope clock mirror pillow
        mattress shelf desk drawer guitar trumpet flute radio television printer keyboard laptop wallet purse
        suitcase backpack towel brush comb needle kettle pan stove broom rake wheelbarrow motorcycle telescope
        microscope compass scissors hairbrush teapot pencil stapler thermometer tripod candlestick kite"""),
    "person": _split("""doctor nurse lawyer plumber pilot carpenter sailor singer judge tailor librarian student
        engineer neighbor priest cousin chef dentist reporter actor janitor cashier widow orphan poet"""),
    "food": _split("""soup bread cheese rice salad sandwich pancake omelette pie cookie sausage noodle tomato potato
        onion carrot pepper apple banana melon grape yogurt butter honey stew"""),
    "place": _split("""kitchen garage library airport museum hospital village forest desert valley meadow stadium
        restaurant factory cathedral warehouse basement laboratory courtyard orchard"""),
    "abstract": _split("""freedom justice courage honesty wisdom truth beauty hope faith fear loyalty patience kindness
        ambition happiness sorrow jealousy anger curiosity doubt knowledge peace equality progress power duty honor
        loneliness friendship trust gratitude cruelty suffering reason virtue glory evil shame guilt despair
        discipline creativity intelligence ideology morality liberty philosophy reality destiny"""),
    "did": _split("""walked jumped climbed danced laughed shouted slept waited worked sang cried smiled knelt stumbled
        crawled galloped marched skated swam flew fell dug painted cooked"""),
    "did_to": _split("""pushed carried lifted dropped kicked threw caught painted repaired sold bought broke hid washed
        examined stole found burned wrapped buried photographed measured touched packed dragged"""),
    "where": [
        *_split("""above below behind beside near under over inside outside between beyond across along
        around"""),
        "next to",
        "in front of",
        "on top of",
        "to the left of",
        "not far from",
        "north of",
    ],
    "name": _split("Anna Ben Carla David Elena Frank Grace Henry Irene James Karen Leo Olga Peter Ruth Sam"),
}

# What a template's {noun} may be: frames shared by categories, so that no feature can win by its frame.
NOUNS = ("animal", "object", "person", "food")
