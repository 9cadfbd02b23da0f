"""A grammar of short English sentences with several choices at every position."""

import re
from collections.abc import Iterable

import numpy as np

_LISTS = {
    "PERSON": """captain farmer teacher doctor painter sailor baker lawyer soldier gardener
        student neighbour singer driver dancer hunter butcher stranger prisoner merchant engineer
        cousin uncle father mother sister brother daughter boy girl woman king queen judge
        priest thief nurse pilot""",
    "PEOPLE": """farmers sailors soldiers students children women brothers neighbours workers
        dancers visitors travellers boys girls friends thieves guests players teachers pilots""",
    "ANIMAL": """dog cat horse fox goat rabbit pigeon donkey monkey turtle tiger eagle spider
        mouse camel elephant""",
    "THING": """lamp basket letter hammer bottle candle carpet mirror ladder guitar violin
        trumpet kettle pillow blanket jacket button ribbon engine wagon bicycle camera telescope
        map coin key rope knife spoon plate cup chair table box book clock drum boat wheel
        picture parcel treasure umbrella envelope apple onion orange""",
    "THINGS": """letters apples oranges coins books shoes flowers stones potatoes pictures boxes
        tickets cups candles ropes eggs maps chairs toys keys""",
    "PLACE": """kitchen garden village river mountain harbour station market church castle
        bridge forest island valley factory library hospital museum theatre airport cellar attic
        barn field meadow road street tower tunnel beach desert school hotel office palace park
        stable city""",
    "KIND": """old young clever lazy angry happy lonely famous foolish gentle hungry thirsty
        nervous quiet noisy strange tall tiny careful friendly""",
    "LOOK": """little big heavy silver golden yellow purple green white black broken wooden
        empty dirty peculiar pretty rusty shiny smooth square ugly valuable wonderful round cheap
        ordinary""",
    "SCENE": """cold warm dark narrow wide ancient modern beautiful quiet empty dirty noisy
        strange pretty lonely peaceful dangerous crowded""",
    "DID": """carried dropped found lost sold bought borrowed stole painted opened repaired
        cleaned buried measured watched followed kept held moved pushed pulled left broke washed
        wanted needed noticed remembered forgot collected described discovered examined finished
        guarded ignored lifted ordered packed protected removed returned shared touched""",
    "DO": """carry drop find sell borrow steal paint open repair clean bury measure watch follow
        keep hold move push pull hide show leave break wash notice remember forget collect
        describe discover examine finish guard ignore lift order pack protect remove return share
        touch""",
    "RESTED": """waited slept danced sang laughed cried worked shouted whispered rested stood sat
        walked travelled wandered disappeared gathered argued played listened stayed arrived
        vanished trembled""",
    "WHERE": "in near behind beside under outside inside across beyond around above below",
    "HOW": """slowly quickly quietly suddenly carefully again yesterday today together gladly
        badly alone early late""",
    "OFTEN": "always never often usually suddenly quietly really already finally quickly",
    "NUMBER": """three five six seven nine ten eleven twelve thirteen fifteen twenty thirty
        forty fifty sixty seventy ninety""",
    "NAME": """oliver maria thomas alice george sophie henry emma victor laura edward julia
        martin helen peter clara samuel nancy arthur rachel philip judith roland felix""",
    "WHO": "i you we they he she",
    "WILL": "will can must should may might could would",
    "DAY": "monday tuesday wednesday thursday friday saturday sunday",
    "MONTH": """january february march april june july august september october november
        december""",
    "WHEN": "before after until since on",
    "DURING": "before after until since during in",
    "ASK": "when where why how",
    "ONE": "the a this that every another my your our his her their",
    "MANY": "the these those some many several my your our his her their",
    "WAS": "was is looked seemed became remained felt",
    "VERY": "very rather always never quite extremely almost",
    "AND": "and or near beside behind",
}

WORDS: dict[str, tuple[str, ...]] = {name: tuple(text.split()) for name, text in _LISTS.items()}

PATTERNS: tuple[tuple[str, ...], ...] = tuple(
    tuple(pattern.split())
    for pattern in (
        "ONE PERSON DID ONE LOOK THING",
        "ONE KIND PERSON DID ONE THING WHERE ONE PLACE",
        "WHO WILL DO ONE LOOK THING HOW",
        "NAME OFTEN DID NUMBER LOOK THINGS",
        "ONE ANIMAL RESTED WHERE ONE SCENE PLACE",
        "WHEN DAY WHO DID ONE THING WHERE ONE PLACE",
        "ASK WILL WHO DO ONE LOOK THING",
        "DO ONE LOOK THING WHERE ONE PLACE",
        "NUMBER KIND PEOPLE RESTED WHERE ONE PLACE",
        "ONE PLACE WAS VERY SCENE",
        "WHO OFTEN DID MANY THINGS WHERE ONE PLACE",
        "NAME WILL OFTEN DO ONE KIND PERSON",
        "ONE PERSON AND ONE KIND PERSON RESTED HOW",
        "DURING MONTH MANY KIND PEOPLE DID ONE THING",
        "MANY PEOPLE WILL DO NUMBER THINGS HOW",
        "NAME DID ONE ANIMAL WHERE ONE SCENE PLACE",
    )
)


def vocabulary() -> list[str]:
    """Return all words that the grammar can say, sorted."""
    return sorted({word for words in WORDS.values() for word in words} | {"an"})


def sample(rng: np.random.Generator) -> str:
    """Return one sentence in lower case, words separated by spaces."""
    pattern = PATTERNS[rng.integers(len(PATTERNS))]
    words = [WORDS[slot][rng.integers(len(WORDS[slot]))] for slot in pattern]
    return re.sub(r"\ba (?=[aeiou])", "an ", " ".join(words))


def sample_distinct(count: int, rng: np.random.Generator, without: Iterable[str] = ()) -> list[str]:
    """Return sentences that differ from one another and from those given."""
    seen = set(without)
    sentences = []
    while len(sentences) < count:
        sentence = sample(rng)
        if sentence not in seen:
            seen.add(sentence)
            sentences.append(sentence)
    return sentences
