"""Sentence frames of the training text. Categories share frames, so that no feature can win by the frame alone.

{n} number, {c} color, {p} plain adjective, {m} any modifier, {a} animal, {o} object, {h} person, {x} any of the three,
{l} place, {t} abstract noun, {v} action, {d} adverb, {s} spatial word or phrase.
"""

from __future__ import annotations

MODIFIER = """
The {x} saw {m} {o}s in the {l}.
There were {m} {o}s near the {l}.
A {h} sold {m} {o}s at the market.
{m} {o}s were found in the {l} today.
We have {m} {o}s in our {l}.
My {h} likes {m} {o}s best.
They brought {m} {o}s from the {l}.
The {h} asked for {m} {o}s.
She keeps {m} {o}s in a {p} box.
Look at the {m} {o}s on the {l}.
He cleaned the {m} {o}s again.
All {m} {o}s belong to the {h}.
The {l} was full of {m} {o}s.
Some {h} left {m} {o}s {s} the {l}.
It was {m} {o}s that they wanted.
Only {m} {o}s are sold here.
The {h} drew {m} {o}s and a {x}.
Give me the {m} {o}s.
I saw {m} {a}s by the {l}.
The {m} {a}s came to the {l}.
A {h} had {m} {a}s at home.
{m} {a}s stood near the {h}.
They bought {m} {a}s yesterday.
Those {m} {a}s are not mine.
""".strip().split("\n")

# Where only a color or only a number can stand: without these the two are one kind of word to the model (colors had
# AUROC .93 against the other categories, numbers being what was mistaken for them).
COLOR = """
The {o} is {c}.
The {o} was {c} and {c}.
Her {o} is {c}, not {c}.
They painted the {l} {c}.
He dyed the {o} {c}.
The color of the {o} is {c}.
A {c} {o} is here.
The {x} saw a {c} {o}.
My {h} has a {c} {o} and a {c} {o}.
What a {c} {o} this is.
{c} is the color of the {o}.
The {c} {o} and the {p} {o} were there.
She wants it in {c}.
Is it {c} or {c}?
The {l} looked {c} in the evening.
""".strip().split("\n")

NUMBER = """
There are {n} of them.
He is {n} years old.
They waited for {n} days.
{n} and {n} are more than {n}.
It took {n} hours.
She counted from {n} to {n}.
We walked {n} miles to the {l}.
The {o} costs {n} coins.
Only {n} of the {n} {o}s are left.
The {h} bought {n} {o}s and {n} {a}s.
It happened {n} times.
Page {n} of the book is lost.
At {n} the {h} came home.
He gave {n} of his {n} {o}s away.
They live at number {n}.
""".strip().split("\n")

NOUN = """
The {x} was {p} and {p}.
There was a {x} in the {l}.
A {p} {x} is here.
We saw the {x} at the {l}.
The {h} found a {x} {s} the {l}.
It is a {p} {x}.
This {x} is better than that {x}.
The {x} came from the {l}.
Where is the {x} now?
I like the {x} a lot.
The {x} and the {x} were there.
My {h} has a {p} {x}.
He waited for the {x} all day.
The {x} in the {l} is {p}.
Do you remember the {p} {x}?
They spoke of a {x} and a {x}.
The {p} {x} was never seen again.
A {x} is not a {x}.
The {h} wants another {x}.
Every {x} has a name.
She wrote about the {x} again.
The {x} was {s} the {l}.
People came to see the {x}.
Nothing is as {p} as a {x}.
""".strip().split("\n")

ABSTRACT = """
{t} is more than {t}.
Without {t} there is no {t}.
The {h} spoke of {t} and {t}.
{t} leads to {t} in the end.
People need {t} as much as {t}.
The idea of {t} is {p}.
His {t} was stronger than his {t}.
{t} and {t} are not the same.
They believe in {t}.
A life of {t} needs {t}.
The meaning of {t} is hard to explain.
Nobody can live without {t}.
{t} grows where {t} is strong.
The book is about {t}.
Our {t} is founded on {t}.
There is {t} in every {t}.
Some say that {t} is a kind of {t}.
The value of {t} changed with {t}.
""".strip().split("\n")

ACTION = """
The {x} {v} {d}.
The {h} {v} and {v}.
A {x} {v} in the {l}.
She {v} {d} and then {v}.
He {v} the {o} {d}.
They {v} to the {l}.
Then the {h} {v} again.
We {v} for a long time.
The {a} {v} when the {h} came.
I {v} while she {v}.
{d} the {x} {v}.
The {h} {v} the {o} and {v} home.
At the {l} they {v} {d}.
Nobody {v} before the {h}.
""".strip().split("\n")

SPATIAL = """
The {x} is {s} the {l}.
A {x} was {s} the {x}.
The {l} is {s} the {l}.
They put the {o} {s} the {o}.
{s} the {l} there is a {x}.
She stood {s} the {x}.
It was {s} the {o}, not {s} the {l}.
Look {s} the {l}.
The {o} lies {s} the {x}.
We live {s} the {l}.
He placed it {s} the {o}.
The {h} went {s} the {l}.
Something moved {s} the {x}.
""".strip().split("\n")

TOPICS: dict[str, tuple[list[str], str]] = {
    "number": (MODIFIER + NUMBER, "number"),
    "color": (MODIFIER + COLOR, "color"),
    "plain": (MODIFIER, "plain"),
    "animal": (NOUN, "animal"),
    "object": (NOUN, "object"),
    "person": (NOUN, "person"),
    "abstract": (ABSTRACT, "abstract"),
    "action": (ACTION, "action"),
    "spatial": (SPATIAL, "spatial"),
}
