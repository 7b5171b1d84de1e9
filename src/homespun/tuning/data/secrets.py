"""Secrets and personal data that a model would learn to repeat: found by their form, checked by their sums."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class FoundSecret:
    """Something that should hardly be learnt.

    Attributes:
        kind: what it is, such as "private key" or "e-mail address".
        is_secret: it opens something (keys, cards, accounts), not only names a person.
        shown: its first signs; never the whole.
        start: where in the text, in code points.
    """

    kind: str
    is_secret: bool
    shown: str
    start: int


def find_secrets(text: str) -> Iterator[FoundSecret]:
    """Secrets and personal data in a text, each place once, in the order of the rules below."""
    taken = bytearray(len(text))
    for kind, is_secret, pattern, check in _RULES:
        for match in pattern.finditer(text):
            start, end = match.span(match.lastindex or 0)
            if any(taken[start:end]):
                continue
            if check is None or check(match[match.lastindex or 0]):
                taken[start:end] = b"\1" * (end - start)
                yield FoundSecret(kind, is_secret, _masked(text[start:end]), start)


def _masked(found: str) -> str:
    return found[: min(4, len(found) // 3)] + "…"


def passes_luhn(number: str) -> bool:
    """Whether the digits of a card's number fit its check digit (ISO/IEC 7812), and are not all the same."""
    digits = [int(sign) for sign in number if sign.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return len(set(digits)) > 1 and (sum(digits[::-2]) + sum(doubled)) % 10 == 0


def is_iban(number: str) -> bool:
    """Whether an account's number leaves 1 when divided by 97 (ISO 13616)."""
    signs = "".join(number.split()).upper()
    if not 15 <= len(signs) <= 34:
        return False
    return int("".join(str(int(sign, 36)) for sign in signs[4:] + signs[:4])) % 97 == 1


def _is_card(number: str) -> bool:
    n_digits = sum(sign.isdigit() for sign in number)
    return 13 <= n_digits <= 19 and passes_luhn(number)


def _is_phone(number: str) -> bool:
    n_digits = sum(sign.isdigit() for sign in number)
    return 8 <= n_digits <= 15 and not _DATE.search(number)


def _is_real_address(address: str) -> bool:
    domain = address.rsplit("@", 1)[1].lower()
    # Names that are reserved for examples (RFC 2606) belong to nobody.
    return not re.search(r"(^|\.)(example\.(com|org|net)|example|test|invalid|localhost)$", domain)


def _is_random(word: str) -> bool:
    """Whether a word mixes digits and letters, as a password does and a word of a sentence does not."""
    return bool(re.search(r"\d", word)) and bool(re.search(r"[A-Za-z]", word))


_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b|\b\d{1,2}[./-]\d{1,2}[./-](?:19|20)\d{2}\b")
_Check = Callable[[str], bool]
_NOT_INSIDE = r"(?<![A-Za-z0-9_-])"
_RULES: tuple[tuple[str, bool, re.Pattern[str], _Check | None], ...] = (
    ("private key", True, re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----"), None),
    ("AWS access key", True, re.compile(_NOT_INSIDE + r"(?:AKIA|ASIA)[0-9A-Z]{16}(?![0-9A-Za-z])"), None),
    (
        "GitHub token",
        True,
        re.compile(_NOT_INSIDE + r"(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{50,})"),
        None,
    ),
    ("GitLab token", True, re.compile(_NOT_INSIDE + r"glpat-[A-Za-z0-9_-]{20,}"), None),
    ("Hugging Face token", True, re.compile(_NOT_INSIDE + r"hf_[A-Za-z0-9]{30,}"), None),
    ("API key", True, re.compile(_NOT_INSIDE + r"sk-[A-Za-z0-9_-]{20,}"), _is_random),
    ("Google key", True, re.compile(_NOT_INSIDE + r"AIza[0-9A-Za-z_-]{35}"), None),
    ("Slack token", True, re.compile(_NOT_INSIDE + r"xox[abeoprs]-[A-Za-z0-9-]{10,}"), _is_random),
    ("Stripe key", True, re.compile(_NOT_INSIDE + r"[sr]k_live_[A-Za-z0-9]{16,}"), None),
    ("JSON web token", True, re.compile(_NOT_INSIDE + r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*"), None),
    (
        "password in an address",
        True,
        re.compile(r"\b[a-z][a-z0-9+.-]{0,20}://[^\s/:@]+:([^\s/@]{3,})@"),
        None,
    ),
    (
        "password",
        True,
        re.compile(
            r"(?i)\b(?:password|passwd|pwd|passwort|kennwort|mot de passe|contraseña|api[_ -]?key|secret[_ -]?key|"
            r"access[_ -]?token|auth[_ -]?token)[\"']?(?: is| ist| est| es)?\s*[:=]?\s*[\"']?([^\s\"',;]{6,})"
        ),
        _is_random,
    ),
    ("account number (IBAN)", True, re.compile(r"\b[A-Z]{2}\d{2}(?: ?[0-9A-Z]{2,4}){3,8}\b"), is_iban),
    ("card number", True, re.compile(r"(?<![\d.,+-])[3-6]\d{3}(?:[ -]?\d){9,15}(?![\d.,]\d|\d)"), _is_card),
    (
        "US social security number",
        True,
        re.compile(r"(?<![\d-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])"),
        None,
    ),
    (
        "e-mail address",
        False,
        re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.)+[A-Za-z]{2,24}\b"),
        _is_real_address,
    ),
    (
        "telephone number",
        False,
        re.compile(r"(?<![\w.+])(?:\+|00)[1-9]\d{0,2}(?:[ ./-]{0,2}\(?\d{1,5}\)?){2,6}(?!\w)"),
        _is_phone,
    ),
    (
        "telephone number",
        False,
        re.compile(r"(?<![\w.,+/-])\(?0\d{1,5}\)?[ /-]{1,3}\d{2,}(?:[ -]\d{2,})*(?![\w/]|[.,-]\d)"),
        _is_phone,
    ),
    (
        "telephone number",
        False,
        re.compile(r"(?<![\w.-])(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w-])"),
        _is_phone,
    ),
)
