"""Names that look alike: the skeleton of a name is the same for all of them.

The table has the characters that Unicode Technical Standard 39 (confusables.txt) takes for one ASCII letter, digit or
mark that names have, in the form that `skeleton` gives them first. It has no pairs within ASCII: `tom1` and `toml` are
two names.
"""
# ruff: noqa: RUF001 such letters are what this is about

import unicodedata
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

LOOK_ALIKES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "2": "ƨϩᒿꙅꛯꝛ",
        "3": "ȝɜʒзӡⳍꝫ𑣊𖼻",
        "4": "Ꮞ𑣏",
        "5": "𑣛",
        "6": "бᏮⳓ",
        "7": "𐓺𑣆",
        "8": "ȣ৪੪𐌚",
        "9": "৭੧୨൭ⳋꝯ𑣌𑣖",
        "a": "ɑαаᎪᗅꓮ𐊠𖽀",
        "b": "ƅβвьᏏᏴᑲᖯᗷꓐꞵ𐊂𐊡𐌁",
        "c": "сᏟᴄⲥꓚ𐊢𐌂𐐽𐔜𑣩𑣲",
        "d": "ԁᎠᏧᑯᗞᗪꓒꓓ",
        "e": "εеҽᎬⴹꓰꬲ𐊆𑣎",
        "f": "ϝքᖴẝꓝꞙꬵ𐊇𐊥𐔥𑣂",
        "g": "ƍɡԍցᏀᏳᶃꓖ",
        "h": "ηнһհᎻᏂᕼⲏꓧ𐋏",
        "i": "ıɩɪιіӏᎥꙇ𑣃",
        "j": "ʝϳјᎫᒍꓙ",
        "k": "κкᏦᛕⲕꓗ𐔘",
        "l": "ǀ۱Ꮮᒪᛁⲓⳑⵏꓡꓲ𐊊𐌉𐌠𐑃𐔦𑣒𖼖𖼨",
        "m": "μϻмᎷᗰᛖⲙꓟ𐊰𐌑",
        "n": "ոռⲛꓠ𐔓",
        "o": "οσоօ۵०০੦૦ଠ୦௦౦೦ഠ൦๐໐ဝ၀ჿዐᴏᴑⲟⵔ〇ꓳꬽ𐊒𐊫𐐬𐓪𐔖𑓐𑣈𑣕𑣗𑣠",
        "p": "ρрᏢᑭⲣꓑ𐊕",
        "q": "ԛգզⵕ",
        "r": "ʀгᎡᎱᏒᖇᴦⲅꓣꭇꭈ𐓜𖼵",
        "s": "ƽѕտᏕᏚꓢꜱ𐊖𐑈𑣁𖼺",
        "t": "τтᎢⲧꓔ𐊗𐊱𐌕𖼊",
        "u": "ʋυսሀᑌᴜꓴꞟꭎꭒ𐓶𑣘𖽂",
        "v": "νѵ۷Ꮩᐯᴠⴸꓦꛟ𐔝𑜆𑣀𖼈",
        "w": "ɯѡԝաᎳᏔᴡꓪ𑜊𑜎𑜏𑣦𑣯",
        "x": "χхᕁᕽᚷⲭⵝꓫꭓ𐊐𐊴𐌗𐌢𐔧𑣬",
        "y": "ɣʏγуүყᎩᎽᶌỿⲩꓬꭚ𐊲𑣄𑣜𖽃",
        "z": "ζᏃᴢꓜ𐋵𑣉𑣥",
        "-": "\u2010\u2012\u2013\u2014\u2015\u2043\u2212\u02d7\u2796\u06d4\u2cbb\u30fc",
        "'": "\u2018\u2019\u201b\u2032\u2035\u02b9\u02bb\u02bc\u02bd\u02be\u02c8\u02ca\u02cb"
        "\u055a\u05f3\ua78c\u07f4\u07f5",
        ".": "\u0660\u0701\u0702\ua60e",
        "_": "\u02cd\u07fa",
        ",": "\u201a\u066b",
        ":": "\u02d0\u0589\u2236\ua789",
        "~": "\u223c",
        " ": "\u1680",
    }
)
_PLAIN = str.maketrans({alike: plain for plain, some in LOOK_ALIKES.items() for alike in some})
# Characters that are not shown although their category does not say so (Unicode's Default_Ignorable_Code_Point), and
# the empty pattern of Braille.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0") | frozenset(
    map(chr, [*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)])
)
# Control and format characters, halves of characters, private and unassigned ones, breaks of lines and paragraphs.
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Scripts with many letters that look like those of another of them.
_ALIKE_SCRIPTS = frozenset({"LATIN", "GREEK", "CYRILLIC", "COPTIC", "ARMENIAN", "CHEROKEE", "LISU"})
_DOT_ABOVE = "\u0307"  # nobody sees it on a letter that has a dot already (Unicode's Soft_Dotted)
_MOST_MARKS = 4  # on one letter (Unicode Technical Standard 39, 5.4)


def skeleton(name: str) -> str:
    """Return a text that is the same for all names that look like *name*: in another case, width or script."""
    if name.isascii():
        return name.lower()
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    seen = "".join(c for c in folded if not is_hidden(c))
    return unicodedata.normalize("NFC", _without_second_dots(seen.translate(_PLAIN)))


def _without_second_dots(decomposed: str) -> str:
    kept, base = [], ""
    for c in decomposed:
        if not unicodedata.combining(c):
            base = c
        if c != _DOT_ABOVE or base not in {"i", "j"}:
            kept.append(c)
    return "".join(kept)


def is_hidden(character: str) -> bool:
    """Say whether nobody can see *character*, or this version of Unicode does not know it."""
    return character in _BLANK or unicodedata.category(character) in _HIDDEN_CATEGORIES


def mixed_scripts(name: str) -> tuple[str, ...]:
    """Return the scripts of *name* whose letters look like one another, if there are several; else nothing."""
    letters = (c for c in unicodedata.normalize("NFKC", name) if unicodedata.category(c).startswith("L"))
    found = {unicodedata.name(c, "").partition(" ")[0] for c in letters} & _ALIKE_SCRIPTS
    return tuple(script.title() for script in sorted(found)) if len(found) > 1 else ()


def has_piled_marks(name: str) -> bool:
    """Say whether a letter has the same mark twice, or more marks than anybody can tell apart."""
    marks: list[str] = []
    for c in unicodedata.normalize("NFD", name):
        if unicodedata.category(c) != "Mn":
            marks.clear()
            continue
        marks.append(c)
        if len(marks) > _MOST_MARKS or len(set(marks)) < len(marks):
            return True
    return False
