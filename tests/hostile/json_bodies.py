"""Bodies that call themselves JSON."""

from __future__ import annotations

from tests.hostile.case import JSON, Case, case, head

BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "a space": b" ",
    "half an object": b'{"text": ',
    "a key alone": b'{"text"}',
    "a comma at the end": b'{"text": "a",}',
    "two values": b'{"text": "a"} {"text": "b"}',
    "single quotes": b"{'text': 'a'}",
    "a comment": b'{"text": "a"} // b',
    "NaN": b"NaN",
    "NaN as a value": b'{"text": NaN}',
    "Infinity": b'{"text": -Infinity}',
    "undefined": b'{"text": undefined}',
    "a word": b"hello",
    "a form": b"text=hello",
    "XML": b"<text>hello</text>",
    "bytes that are no UTF-8": b'{"text": "\xff"}',
    "a byte that is no UTF-8, alone": b"\xff",
    "an overlong character": b'{"text": "\xc0\xaf"}',
    "half a character": b'{"text": "\xe2\x82"}',
    "UTF-16": '{"text": "a"}'.encode("utf-16"),
    "UTF-32": '{"text": "a"}'.encode("utf-32"),
    "half a surrogate pair": b'{"text": "\\ud800"}',
    "an escape that is none": b'{"text": "\\x41"}',
    "half an escape": b'{"text": "\\u00"}',
    "a raw NUL": b'{"text": "a\x00b"}',
    "a raw line feed": b'{"text": "a\nb"}',
    "NULs": bytes(100),
    "a number with zeroes before it": b'{"text": 007}',
    "a number in hexadecimal": b'{"text": 0x41}',
    "a number with a dot": b'{"text": 1.}',
    "a minus": b'{"text": -}',
    "100,000 arrays": b"[" * 100_000,
    "100,000 whole arrays": b"[" * 100_000 + b"]" * 100_000,
    "100,000 objects": b'{"a":' * 100_000,
    "100,000 whole objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "no object": b'["text"]',
    "null": b"null",
    "a number alone": b"17",
    "a string alone": b'"text"',
    "an empty object": b"{}",
    "a number for a text": b'{"text": 17}',
    "null for a text": b'{"text": null}',
    "an object for a text": b'{"text": {"text": "a"}}',
    "a prototype": b'{"__proto__": {"text": "a"}}',
    "a class": b'{"text": {"__class__": "os.system"}}',
    "a number of 100,000 digits": b'{"text": ' + b"9" * 100_000 + b"}",
    "a number beyond every exponent": b'{"text": 1e999999}',
}

TYPES = (
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "application/xml",
    "json",
    "",
    ";",
    "\xff",
)


def post(body: bytes, content_type: str = "application/json") -> bytes:
    return head("POST", JSON, f"Content-Type: {content_type}", f"Content-Length: {len(body)}") + body


def cases() -> list[Case]:
    return [
        *(case(f"JSON: {name}", post(body), 400) for name, body in BROKEN.items()),
        *(case(f"JSON that calls itself {kind!r}", post(b"{", kind), (400, 415)) for kind in TYPES),
        case("JSON without a type", head("POST", JSON, "Content-Length: 1") + b"{", (400, 415)),
        case("JSON with a charset", post(b'{"text": "a"', "application/json; charset=utf-16"), (400, 415)),
    ]
