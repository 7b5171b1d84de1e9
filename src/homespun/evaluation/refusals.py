"""Whether a text says that there is no answer, in the languages of the prompts."""

import re

from homespun.rag.write import is_refusal

#: Longer texts say something else besides.
_MOST_CHARS = 300
_SAYINGS = re.compile(
    r"\b(?:i|we) (?:do not|don['’]t|cannot|can['’]t) (?:know|tell|say|answer|find)\b"
    r"|\b(?:cannot|can['’]t|could not) be (?:answered|found|determined)\b"
    r"|\bno (?:answer|information|mention)\b[^.]{0,40}\b(?:found|given|available|provided|in the|about|on this|of)\b"
    r"|\b(?:is|are) (?:not|nowhere) (?:mentioned|stated|specified)\b"
    r"|\bnot enough information\b|\bunanswerable\b|\A\W*(?:unknown|no answer|not known)\W*\Z"
    r"|\bnon (?:so|è (?:indicato|specificato|menzionato))\b|\bnessuna (?:informazione|risposta)\b"
    r"|\b(?:je|nous) ne (?:sais|savons|peux|pouvons) pas\b"
    r"|\bn['’](?:est|indique|indiquent|contient|contiennent|mentionne|mentionnent|y a)\b[^.]{0,40}\bpas\b"
    r"|\b(?:ne|n['’])\b[^.]{0,30}\b(?:précisent?|mentionnent?|contiennent|répondent|disent)\b[^.]{0,12}\bpas\b"
    r"|\bich weiß (?:es )?nicht\b|\bkeine (?:antwort|angaben?|informationen?|auskunft)\b"
    r"|\b(?:steht|stehen|enthalten|enthält|nennen|nennt|sagen|sagt|beantworten|hervor)\b[^.]{0,60}\bnicht\b"
    r"|\bgeht (?:aus|daraus)\b[^.]{0,80}\bnicht hervor\b"
    r"|\bno (?:lo )?(?:sé|sabemos)\b|\bno (?:se )?(?:menciona|indica|contiene|dice|encuentra|especifica)n?\b"
    r"|\bik weet het niet\b|\b(?:staat|vermeld|vermelden|bevatten|zeggen)\b[^.]{0,40}\bniet\b"
    r"|\bgeen (?:antwoord|informatie)\b|\bnão (?:sei|menciona|consta|diz|informa)\b",
    re.IGNORECASE,
)


def says_no_answer(text: str) -> bool:
    """Whether a text says in a sentence or two that the documents hold no answer, or that it is not known.

    English, German, French, Spanish, Italian, Dutch and Portuguese. An empty text says nothing.
    """
    text = text.strip()
    return is_refusal(text) or (len(text) <= _MOST_CHARS and _SAYINGS.search(text) is not None)
