"""The six colours of the vocabulary as prose names them: "tan", "bluish", "light to dark brown", or just "brown".

Colours of the skin around, and of what is said to be missing, are not the lesion's. It knows no picture.
"""

import re
from collections.abc import Sequence

from dermaflux.domain.lesion import Colour

Mention = frozenset[Colour]

_BROWNS = frozenset({Colour.LIGHT_BROWN, Colour.DARK_BROWN})
# The first that fits is taken, so compounds stand before their parts. Pink lies between three of the six.
_NAMES: tuple[tuple[re.Pattern[str], tuple[Mention, ...]], ...] = tuple(
    (re.compile(rf"\b(?:{pattern})\b"), mentions)
    for pattern, mentions in (
        (
            r"(?:light|pale)(?:er)?(?: brown)?,? (?:and|to|or) (?:dark|deep)(?:er)?(?: shades? of)? brown",
            (frozenset({Colour.LIGHT_BROWN}), frozenset({Colour.DARK_BROWN})),
        ),
        (
            r"(?:dark|deep)(?:er)?(?: brown)?,? (?:and|to|or) (?:light|pale)(?:er)?(?: shades? of)? brown",
            (frozenset({Colour.LIGHT_BROWN}), frozenset({Colour.DARK_BROWN})),
        ),
        (r"(?:redd?(?:ish)?|pink(?:ish)?)[- ]brown(?:ish)?|brown(?:ish)?[- ](?:red|pink)", (_BROWNS | {Colour.RED},)),
        (r"(?:black(?:ish)?|dark|deep)(?:er|est)?[- ]brown(?:ish)?|chocolate", (frozenset({Colour.DARK_BROWN}),)),
        (r"(?:light|pale|soft)(?:er|est)?[- ]brown(?:ish)?|tan|beige", (frozenset({Colour.LIGHT_BROWN}),)),
        (r"brown(?:ish)?", (_BROWNS,)),
        (r"blu(?:e|ish)[- ]black|dark(?:er)? gr[ea]y", (frozenset({Colour.BLUE_GREY, Colour.BLACK}),)),
        (r"blu(?:e|ish)[- ]white|light(?:er)? gr[ea]y", (frozenset({Colour.BLUE_GREY, Colour.WHITE}),)),
        (
            r"blu(?:e|ish)(?:[- ]?gr[ea]y(?:ish)?)?|gr[ea]y(?:ish)?[- ]blue|gr[ea]y(?:ish)?",
            (frozenset({Colour.BLUE_GREY}),),
        ),
        (r"pink(?:ish)?[- ]red|red(?:dish)?|crimson", (frozenset({Colour.RED}),)),
        (r"pink(?:ish)?", (frozenset({Colour.RED, Colour.WHITE, Colour.LIGHT_BROWN}),)),
        (r"(?:off-)?whit(?:e|ish)", (frozenset({Colour.WHITE}),)),
        (r"black(?:ish)?", (frozenset({Colour.BLACK}),)),
    )
)
_AROUND = re.compile(r"\b(?:surround\w*|background|adjacent|against|compared|than|skin(?! lesion| growth| mark))\b.*")
_DENIED = re.compile(
    r"\b(?:no|not|without|absence|lacks?|lacking|free of|cannot|may|might|could|if)\b(?P<first>[^,]*)(?P<rest>.*)"
)


def named_colours(clauses: Sequence[str]) -> tuple[Mention, ...]:
    """What each mention in lower-case clauses may mean, without repeats; a vague one goes where a clear one says it."""
    found: list[Mention] = []
    for clause in clauses:
        text = _affirmed(_AROUND.sub("", clause))
        for pattern, mentions in _NAMES:
            if pattern.search(text):
                text = pattern.sub(" , ", text)
                found += mentions
    clear = set(found)
    kept = [mention for mention in clear if not any(other < mention for other in clear)]
    return tuple(sorted(kept, key=lambda mention: [tuple(Colour).index(c) for c in Colour if c in mention]))


def _affirmed(text: str) -> str:
    """A clause without what it denies: "no white, blue or red" to its end, "no visible asymmetry" to the comma."""
    found = _DENIED.search(text)
    if not found:
        return text
    denies_colours = any(pattern.search(found["first"]) for pattern, _ in _NAMES)
    return text[: found.start()] + ("" if denies_colours else _affirmed(found["rest"]))
