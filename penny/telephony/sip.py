"""The few SIP messages that a test of a connection sends, and their answers (RFC 3261). Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field


USER_AGENT = "Penny"
MAX_ANSWER_BYTES = 65_536
_START = re.compile(r"SIP/2\.0 ([1-6]\d\d) ?(.*)")
_PARAMETER = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}
COMPACT = {"v": "via", "i": "call-id", "f": "from", "t": "to", "l": "content-length"}


@dataclass(frozen=True, slots=True)
class Peer:
    """Where requests go, and by what.

    Args:
        host: as it stands in URIs, an IPv6 address in brackets.
        local: (host, port) of our own socket.
    """

    host: str
    port: int
    transport: str
    user: str
    local: tuple[str, int]

    @property
    def uri(self) -> str:
        """The registrar: what is asked, and what the digest is made over."""
        way = "" if self.transport == "udp" else f";transport={self.transport}"
        return f"sip:{self.host}:{self.port}{way}"


@dataclass(frozen=True, slots=True)
class Answer:
    """A response. ``headers``: lower-case name -> values, in their order."""

    status: int
    reason: str
    headers: dict[str, list[str]] = field(default_factory=dict)

    def first(self, name: str) -> str:
        """A header's first value; ''."""
        return self.headers.get(name, [""])[0]


def build_request(
    method: str, peer: Peer, branch: str, call_id: str, tag: str, cseq: int, more: str = ""
) -> bytes:
    """A request without a body.

    Args:
        more: further header lines, each with its line end.
    """
    host, port = peer.local
    own = f"[{host}]" if ":" in host else host
    who = f"sip:{peer.user}@{peer.host}" if peer.user else f"sip:{peer.host}"
    to = who if method == "REGISTER" else peer.uri
    return (
        f"{method} {peer.uri} SIP/2.0\r\n"
        f"Via: SIP/2.0/{peer.transport.upper()} {own}:{port};branch=z9hG4bK{branch};rport\r\n"
        f"Max-Forwards: 70\r\n"
        f"From: <{who}>;tag={tag}\r\n"
        f"To: <{to}>\r\n"
        f"Call-ID: {call_id}\r\n"
        f"CSeq: {cseq} {method}\r\n"
        f"{more}"
        f"Accept: application/sdp\r\n"
        f"User-Agent: {USER_AGENT}\r\n"
        f"Content-Length: 0\r\n\r\n"
    ).encode()


def parse_answer(data: bytes) -> Answer | None:
    """A response; None for what is none."""
    head, mark, _ = data[:MAX_ANSWER_BYTES].partition(b"\r\n\r\n")
    lines = re.sub(r"\r\n[ \t]+", " ", head.decode("utf-8", "replace")).split("\r\n")
    start = _START.fullmatch(lines[0])
    if not mark or start is None:
        return None
    headers: dict[str, list[str]] = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        name = name.strip().lower()
        headers.setdefault(COMPACT.get(name, name), []).append(value.strip())
    return Answer(int(start[1]), start[2], headers)


def answers(answer: Answer, branch: str, call_id: str, cseq: int, method: str) -> bool:
    """Whether it is the final answer to that request."""
    own = f"branch=z9hG4bK{branch}" in answer.first("via")
    number = answer.first("cseq").split() == [str(cseq), method]
    return own and number and answer.first("call-id") == call_id and answer.status >= 200


def authorize(
    answer: Answer, method: str, uri: str, user: str, password: str, cnonce: str
) -> str | None:
    """The header line that answers a 401 or 407 (RFC 8760); None: the scheme is not ours."""
    name, own = "www-authenticate", "Authorization"
    if answer.status == 407:
        name, own = "proxy-authenticate", "Proxy-Authorization"
    for challenge in answer.headers.get(name, []):
        scheme, _, rest = challenge.partition(" ")
        told = {key.lower(): quoted or bare for key, quoted, bare in _PARAMETER.findall(rest)}
        algorithm = told.get("algorithm", "MD5").upper()
        offered = {each.strip() for each in told.get("qop", "").split(",")}
        if scheme.lower() == "digest" and algorithm in _HASHES and offered & {"", "auth"}:
            line = _digest(told, algorithm, "auth" in offered, method, uri, user, password, cnonce)
            return f"{own}: {line}\r\n"
    return None


def _digest(
    told: dict[str, str],
    algorithm: str,
    has_qop: bool,
    method: str,
    uri: str,
    user: str,
    password: str,
    cnonce: str,
) -> str:
    def made(text: str) -> str:
        return _HASHES[algorithm](text.encode()).hexdigest()

    realm, nonce = told.get("realm", ""), told.get("nonce", "")
    secret, asked = made(f"{user}:{realm}:{password}"), made(f"{method}:{uri}")
    middle = f"{nonce}:00000001:{cnonce}:auth" if has_qop else nonce
    parts = [
        f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}"',
        f'response="{made(f"{secret}:{middle}:{asked}")}", algorithm={algorithm}',
    ]
    if has_qop:
        parts.append(f'qop=auth, nc=00000001, cnonce="{cnonce}"')
    if "opaque" in told:
        parts.append(f'opaque="{told["opaque"]}"')
    return ", ".join(parts)
