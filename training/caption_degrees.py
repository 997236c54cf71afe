"""How strong a clause says that a lesion is uneven: claims as ranges of the five steps of a scale, 0 even to 4 uneven.

A claim is an adjective or noun with the words right before it: negation, degree, or nothing. It knows no sentence.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

Steps = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """The words of one scale. A noun claims nothing by itself: "regarding its asymmetry" is a topic.

    `others`: what the same words may be said of instead, as "an uneven colour" or "the colour is uneven".
    """

    uneven: re.Pattern[str]
    even: re.Pattern[str]
    nouns: re.Pattern[str]
    others: re.Pattern[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Before:
    """What stands right before a word: negation, degree, a verb, and the first word that belongs to none of these."""

    is_negated: bool
    degree: str | None
    has_verb: bool
    subject: str


_NOTHING = re.compile(r"(?!)")
_SCALES: Mapping[str, _Words] = MappingProxyType({
    "asymmetry": _Words(
        uneven=re.compile(r"\basymmetr\w+|\blopsided\b|\b(?:larger|bigger|darker|wider) than the other\b"),
        even=re.compile(r"\bsymmetr\w+|\bmirror(?:ed|s|ing)?\b"),
        nouns=re.compile(r"a?symmetry"),
        others=_NOTHING,
    ),
    "border": _Words(
        uneven=re.compile(
            r"\b(?:irregular(?:ly|ity|ities)?|uneven(?:ly)?|jagged|ragged|notched|scalloped|wavy|bumpy|serrated|indented|undulating)\b"
        ),
        even=re.compile(r"\b(?:smooth(?:ly)?|even(?! though| if| when)|regular(?:ly)?|round(?:ed)?)\b"),
        nouns=re.compile(r"irregularit(?:y|ies)"),
        others=re.compile(
            r"(?:shape\w*|pattern|colou?r\w*|pigment\w*|distribut\w*|surface|texture|tones?|shades?|hues?|patch\w*|spots?"
            r"|halves)"
        ),
    ),
})  # fmt: skip

_DEGREES: Mapping[str, str] = MappingProxyType({
    word: degree
    for degree, words in {
        "slight": "slight slightly subtle subtly mild mildly minor minimal minimally little faint faintly bit hint",
        "moderate": "moderate moderately some somewhat partly partially partial",
        "strong": "notable notably significant significantly clear clearly noticeable noticeably obvious obviously "
        "evident evidently considerable considerably distinct distinctly marked markedly visible visibly apparent "
        "substantial substantially quite",
        "extreme": "pronounced strong strongly severe severely high highly extreme extremely very dramatic "
        "dramatically",
        "full": "perfect perfectly complete completely entirely fully totally absolutely",
        "hedged": "mostly generally largely roughly relatively fairly nearly almost approximately overall",
    }.items()
    for word in words.split()
})  # fmt: skip
_NEGATIONS = frozenset({"no", "not", "without", "lack", "lacks", "lacking", "absence", "never", "neither", "nor"})
_VERBS = frozenset({
    "shows", "show", "showing", "exhibits", "exhibit", "exhibiting", "displays", "display", "displaying", "has", "have",
    "having", "demonstrates", "presents", "reveals", "with", "is", "are", "appears", "appear", "seems", "seem", "being",
    "be",
})  # fmt: skip
_FILLERS = frozenset({
    "a", "an", "the", "any", "and", "to", "of", "in", "degree", "amount", "level", "sign", "signs", "its", "both",
    "also", "it",
})  # fmt: skip
_UNEVEN: Mapping[str | None, Steps] = MappingProxyType({
    None: (2, 4), "slight": (1, 1), "moderate": (2, 2), "strong": (3, 3), "extreme": (4, 4), "full": (4, 4),
    "hedged": (2, 4),
})  # fmt: skip
_EVEN: Mapping[str | None, Steps] = MappingProxyType({
    None: (0, 0), "slight": (0, 1), "moderate": (0, 1), "strong": (0, 0), "extreme": (0, 0), "full": (0, 0),
    "hedged": (0, 1),
})  # fmt: skip
# "Not moderately irregular" may mean less or more: what is not here is no claim.
_NOT_UNEVEN: Mapping[str | None, Steps] = MappingProxyType({None: (0, 0), "strong": (0, 1)})
_NOT_EVEN: Mapping[str | None, Steps] = MappingProxyType({None: (2, 4), "full": (1, 3), "extreme": (1, 4)})
_AFTER_NOUN = re.compile(
    r"^(?:\s+[\w-]+){0,4}?\s+(?:is|are|appears?|seems?)(?:\s+to\s+be)?\s+(?P<words>(?:[\w-]+\s+){0,2}?[\w-]+)(?=[\s,.]|$)"
)


def claimed_steps(clause: str, scale: str, wordings: Sequence[Sequence[str]]) -> Iterator[Steps]:
    """Every claim of a lower-case clause on a scale; `wordings` are the grammar's own for each step, read exactly."""
    words = _SCALES[scale]
    for step, phrases in enumerate(wordings):
        for phrase in phrases:
            at = clause.find(phrase)
            if at >= 0 and _is_plain(_before(clause[:at], _NOTHING)):
                clause = clause.replace(phrase, " . ")
                yield step, step
    for pattern, plain, negated in ((words.uneven, _UNEVEN, _NOT_UNEVEN), (words.even, _EVEN, _NOT_EVEN)):
        for match in pattern.finditer(clause):
            before = _before(clause[: match.start()], pattern)
            if words.others.fullmatch(before.subject) or _is_followed_by(words.others, clause[match.end() :]):
                continue
            claim = _claim(before, clause[match.end() :], is_noun=words.nouns.fullmatch(match[0]) is not None)
            if claim is not None and (steps := (negated if claim[0] else plain).get(claim[1])) is not None:
                yield steps


def _claim(before: _Before, after: str, *, is_noun: bool) -> tuple[bool, str | None] | None:
    """Whether it is negated and how strong, or None where a noun is only spoken of."""
    if not is_noun or not _is_plain(before):
        return before.is_negated, before.degree
    if found := _AFTER_NOUN.match(after):
        words = found["words"].split()
        degrees = [_DEGREES[word] for word in words if word in _DEGREES]
        is_denied = "absent" in words or bool(_NEGATIONS & set(words))
        if degrees or is_denied or "present" in words:
            return is_denied, degrees[-1] if degrees else None
    return (False, None) if before.has_verb else None


def _is_plain(before: _Before) -> bool:
    return not before.is_negated and before.degree is None


def _is_followed_by(others: re.Pattern[str], after: str) -> bool:
    """Whether one of the next two words is one of the others; "and", "with" and a border begin something new."""
    following = re.match(r"(?:\s+(?!and\b|with\b|borders?\b|edges?\b)[\w-]+){1,2}", after)
    return following is not None and any(others.fullmatch(word) for word in following[0].split())


def _before(text: str, same_side: re.Pattern[str]) -> _Before:
    """Walk back over words that change nothing, and over adjectives of the same side: "slightly uneven and notched"."""
    negated, degree, has_verb, subject = False, None, False, ""
    for word in reversed(re.findall(r"[\w'-]+|[.:()]", text)):
        if word in _NEGATIONS or word.endswith("n't"):
            negated = True
        elif word in _DEGREES:
            degree = degree or _DEGREES[word]
        elif word in _VERBS:
            has_verb = True
        elif word not in _FILLERS and not same_side.fullmatch(word):
            subject = word
            break
    return _Before(is_negated=negated, degree=degree, has_verb=has_verb, subject=subject)
