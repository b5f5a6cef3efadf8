"""The golden texts: what a device may be handed, well-formed or not, each under a name; they know no model."""

from __future__ import annotations

import random
from collections.abc import Iterator

Named = tuple[str, bytes]

LANGUAGES = {
    "english": "Where is my card? It's 12.50 overdue!",
    "german": "Die STRAẞE heißt Größe; ÄÖÜ äöü",
    "french": "L’été dernier, où êtes-vous allé·e·s ?",
    "turkish": "İSTANBUL'da ışık ılık, IĞDIR",
    "greek": "ΟΔΥΣΣΕΎΣ ἔστιν ὁδός ᾈ",
    "russian": "Ёлка СЪЕЛА ещё щи",
    "georgian": "ᲗᲑᲘᲚᲘᲡᲘ თბილისი",
    "cherokee": "ᏣᎳᎩ ꭰꭱ",
    "deseret": "𐐔𐐯𐑅𐐨𐑉𐐯𐐻",
    "armenian": "Երևան ԵՐԵՎԱՆ",
    "arabic": "أين بطاقتي؟ ١٢٣",
    "hebrew": "איפה הכרטיס שלי? שָׁלוֹם",
    "hindi": "मेरा कार्ड कहाँ है? १२३",
    "tamil": "என் அட்டை எங்கே",
    "thai": "บัตรของฉันอยู่ที่ไหน ๑๒๓",
    "khmer": "កាតរបស់ខ្ញុំនៅឯណា ០១២",
    "burmese": "ကျွန်ုပ်၏ကတ်",
    "chinese": "我的卡在哪里？第3次",
    "japanese": "カードはどこですか。ﾊﾝｶｸ 東京tower",
    "korean": "내 카드는 어디에 있나요? 한글",
    "mixed": "Paris巴黎 москва! 東京2020 it's-ok",
}
UNICODE = {
    "emoji": "🙂🎉 I ❤️ it 👍🏽 👨‍👩‍👧‍👦 🇩🇪 1️⃣",
    "combining": "e\u0301 é a\u0308\u0323 ä\u0323 \u0301lone",
    "stacked marks": "z" + "\u0300\u0301\u0302\u0303\u0304\u0305\u0306" * 20 + "x",
    "joiners": "a\u200db c\u200cd e\u2060f \ufeffg h\u00adi \u200fj\u200e",
    "spaces": "a\u00a0b\u2003c\u3000d\u2028e\u2029f\u1680g\u205fh",
    "private": "x\ue000y \U000f0000 \U0010fffd",
    "unassigned": "x\ufffey\uffffz \u0378 \U0001ffff\U00020000\U0002ffff \U0010ffff",
    "fullwidth": "ＡＢＣ ａｂｃ １２３ ！",
    "ligatures": "ﬀ ﬁ ǅ ǆ Ǳ Ω K Å",
    "symbols": "€ £ ¥ ₿ ∑ ≠ ♞ ★ « » „ “ ” …",
}
INVALID = {
    "lone continuation": b"a\x80b\xbfc",
    "c0 c1": b"a\xc0\x80b\xc1\xbfc",
    "f5 to ff": b"a\xf5\x80\x80\x80b\xf8\x88\x80\x80\x80c\xfe\xffd",
    "overlong of three": b"a\xe0\x80\xafb\xe0\x9f\xbfc\xe0\xa0\x80d",
    "overlong of four": b"a\xf0\x80\x80\xafb\xf0\x8f\xbf\xbfc\xf0\x90\x80\x80d",
    "surrogates": b"a\xed\xa0\x80b\xed\xbf\xbfc\xed\x9f\xbfd\xed\xa0\xbd\xed\xb8\x80",
    "above 10ffff": b"a\xf4\x90\x80\x80b\xf4\x8f\xbf\xbfc",
    "maximal subparts": b"a\xf1\x80\x80\xe1\x80\xc2b\x80c\x80\xbfd",
    "subparts of table 3-11": b"\xe1\x80\xe2\xf0\x91\x92\xf1\xbfA",
    "lead after lead": b"\xc3\xc3\xa9\xe2\xe2\x82\xac\xf0\xf0\x9f\x99\x82",
    "cut in two": "é".encode()[:1],
    "cut in three": b"word \xe2\x82",
    "cut in four": b"word \xf0\x9f\x99",
    "cut before a letter": b"\xf0\x9f\x99a\xe2\x82b\xc3c",
    "latin-1": "déjà vu à côté".encode("latin-1"),
    "utf-16": "\ufeffhi é".encode("utf-16-le"),
    "every byte": bytes(range(256)),
    "every byte backwards": bytes(range(255, -1, -1)),
}
PLAIN = {
    "empty": b"",
    "one letter": b"a",
    "one space": b" ",
    "spaces only": b" \t\r\n\x0b\x0c  ",
    "one symbol": b"?",
    "apostrophes only": b"'''",
    "a zero byte": b"\0",
    "zero bytes": b"\0a\0\0bc\0 d\0",
    "control characters": bytes(range(32)) + b"x\x7fy",
    "digits": b"0123456789 3.14 1e9 0x1F",
    "case": b"AbC aBc ABC abc",
    "apostrophe": "don't don’t donʼt dont".encode(),
    "repeats": b"card card card card " * 30,
}
SENTENCES = (
    b"where is my new card it should have been here last week",
    b"please wake me up at half past six tomorrow in the morning",
    b"why was i charged an extra fee when i paid with it",
    b"turn off all of the lights in the kitchen and the hall",
    b"what is the exchange rate that you use for euros and dollars",
    b"my payment was declined again today and i do not know why",
    b"how long does it take until the transfer is in my account",
    b"play some quiet music for me while i am cooking dinner tonight",
)
"""Twelve words each: what sizes and instruction counts are measured on."""
LINE = 100_000
LAST_OF_A_CHUNK = (62, 63, 64, 65, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 130, 255, 256, 257)
"""Lengths around the core's chunks, where a word or a code point is cut in two."""


def short_texts() -> Iterator[Named]:
    """Texts of 1,500 bytes at most."""
    yield from PLAIN.items()
    yield from ((f"sentence {index}", text) for index, text in enumerate(SENTENCES))
    for named in (LANGUAGES, UNICODE):
        yield from ((name, text.encode()) for name, text in named.items())
    yield from INVALID.items()
    yield from ((f"a word of {length}", b"w" * length) for length in LAST_OF_A_CHUNK)
    yield from ((f"words of {length} bytes", (b"ab " * length)[:length]) for length in LAST_OF_A_CHUNK)
    yield from ((f"{length} ideographs", "漢".encode() * length) for length in (61, 62, 124, 125, 126, 130))
    yield from ((f"{length} letters and an emoji", b"q" * length + "🙂z".encode()) for length in (121, 123, 125, 127))
    random_bytes = random.Random(20)
    for index in range(8):
        yield f"random bytes {index}", random_bytes.randbytes(150)
        points = (random_bytes.choice((0x80, 0x800, 0x3100, 0x20000, 0x110000)) for _ in range(60))
        text = "".join(chr(random_bytes.randrange(limit)) for limit in points)
        yield f"random code points {index}", text.encode("utf-8", "surrogatepass")


def long_texts() -> Iterator[Named]:
    """Texts up to one line of 100,000 bytes; past the features and the words that count."""
    yield "a word of 5,000", b"Pneumono" * 625
    yield "5,000 words", b" ".join(b"w%d" % index for index in range(5000))
    yield "all of one family", "".join(map(chr, range(0x4E00, 0x4E00 + 6000))).encode()
    everything = " ".join([*LANGUAGES.values(), *UNICODE.values()]).encode()
    line = b" ".join(b"%d %s %s" % (index, everything, INVALID["maximal subparts"]) for index in range(80))
    yield "a line of 100,000", line[:LINE]
