"""What Asterisk is told of the lines: endpoints, numbers, and the way to Penny and on. Pure.

    penny_pjsip.conf             endpoints; each password comes in by ``#include``, from its file
    penny_extensions.conf        a literal extension a number; every other call is refused
    penny_websocket_client.conf  where ``chan_websocket`` connects to

A call is announced to Penny over HTTP before its sound comes, so that Penny takes none it does not
know. When the announcement fails, when Penny dies, and after a hand-off, the dialplan goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from config.telephony import AsteriskSection
from penny.errors import ProtocolError
from penny.telephony.conf import Section, check, render
from penny.telephony.lines import Fxo, Line, Lines, Trunk


Options = list[tuple[str, str]]

PJSIP = "penny_pjsip.conf"
EXTENSIONS = "penny_extensions.conf"
WEBSOCKET_CLIENT = "penny_websocket_client.conf"
TOKEN_FILE = "announce.token"
TOKEN_CHARS = 43
"""Of ``secrets.token_urlsafe(32)``: as many are read of the file."""
HEADER = "; Written by Penny from the page /telephony; a change made here is lost when it saves."
CODECS = {"ulaw": "ulaw,alaw", "alaw": "alaw,ulaw", "g729": "g729,ulaw,alaw"}
"""Both laws are offered: a line that is heard as the other one crackles."""
ENDPOINT: Options = [
    ("type", "endpoint"),
    ("disallow", "all"),
    ("direct_media", "no"),
    ("rtp_symmetric", "yes"),
    ("rtp_timeout", "30"),
    ("dtmf_mode", "auto"),
    ("allow_subscribe", "no"),
    ("timers", "yes"),
    ("timers_min_se", "90"),
    ("timers_sess_expires", "1800"),
]
"""Timers are explicit: carriers cut calls whose session refresh is not answered."""
TIMEOUTS = ("Set(CURLOPT(conntimeout)=1)", "Set(CURLOPT(httptimeout)=3)")
UNLISTED = "${URIENCODE(${FILTER(0-9+,${EXTEN})})}"
RING_S = 30
PATH = re.compile(r"/[A-Za-z0-9/_.-]+")


def render_files(lines: Lines, section: AsteriskSection, secrets: Path) -> dict[str, str]:
    """File name -> text, each read back before it is returned.

    Args:
        secrets: folder of the passwords and the token, absolute.

    Raises:
        ProtocolError: something cannot stand in such a file.
    """
    if not PATH.fullmatch(str(secrets)):
        raise ProtocolError(
            "telephony.folder: Asterisk reads paths of letters, digits and / _ . - alone",
            field="telephony.folder",
        )
    receiving = list(lines.receiving())
    includes = [str(secrets / f"{line.id}.conf") for line in receiving if line.password_ref]
    try:
        files = {PJSIP: _checked(list(_endpoints(receiving)), includes)}
        files[EXTENSIONS] = _checked(_dialplan(receiving, section, secrets), [])
        files[WEBSOCKET_CLIENT] = _checked([_websocket_client(section)], [])
    except ValueError as error:
        raise ProtocolError(f"{error}: this cannot stand in Asterisk's files") from error
    return files


def render_password(name: str, password: str) -> str:
    """The file of a password: a template that its ``auth`` section takes. Raises ValueError."""
    return _checked([Section(f"{name}-password", [("password", password)], "(!)")], [])


def _checked(sections: list[Section], includes: list[str]) -> str:
    text = render(sections, [HEADER, *(f'#include "{path}"' for path in includes)])
    check(text, sections, includes)
    return text


def _endpoints(lines: list[Fxo | Trunk]) -> Iterator[Section]:
    for line in lines:
        yield from _fxo(line) if isinstance(line, Fxo) else _trunk(line)


def _auth(line: Line) -> Section:
    options = [("type", "auth"), ("auth_type", "digest"), ("username", line.user)]
    return Section(f"{line.id}-auth", options, f"({line.id}-password)")


def _fxo(line: Fxo) -> Iterator[Section]:
    """The gateway registers as ``user``: its aor has that name, all else the line's."""
    yield Section(
        line.id,
        [
            *ENDPOINT,
            ("allow", CODECS[line.codec]),
            ("context", f"penny-{line.id}"),
            ("auth", f"{line.id}-auth"),
            ("aors", line.user),
            ("identify_by", "username,ip"),
            ("deny", "0.0.0.0/0.0.0.0"),
            ("deny", "::/0"),
            ("permit", line.ip),
        ],
    )
    yield _auth(line)
    yield Section(
        line.user,
        [
            ("type", "aor"),
            ("max_contacts", "1"),
            ("remove_existing", "yes"),
            ("qualify_frequency", "30"),
        ],
    )
    identify = [("type", "identify"), ("endpoint", line.id), ("match", line.ip)]
    yield Section(f"{line.id}-identify", identify)


def _trunk(line: Trunk) -> Iterator[Section]:
    host = f"[{line.host}]" if ":" in line.host else line.host
    way = "" if line.transport == "udp" else f";transport={line.transport}"
    endpoint = [*ENDPOINT, ("allow", CODECS["alaw"]), ("context", f"penny-{line.id}")]
    # By its addresses alone: it shows no password, and anybody may write its name in a From.
    endpoint += [("identify_by", "ip"), ("aors", f"{line.id}-aor"), ("from_domain", line.host)]
    if line.user:
        endpoint.append(("from_user", line.user))
    if line.password_ref:
        endpoint.append(("outbound_auth", f"{line.id}-auth"))
        yield _auth(line)
    yield Section(line.id, endpoint)
    contact = f"sip:{host}:{line.port}{way}"
    yield Section(
        f"{line.id}-aor", [("type", "aor"), ("contact", contact), ("qualify_frequency", "60")]
    )
    matches = [("match", each) for each in line.match or (line.host,)]
    identify = [("type", "identify"), ("endpoint", line.id), *matches]
    yield Section(f"{line.id}-identify", identify)
    if line.auth == "register":
        yield Section(
            f"{line.id}-registration",
            [
                ("type", "registration"),
                ("outbound_auth", f"{line.id}-auth"),
                ("server_uri", contact),
                ("client_uri", f"sip:{line.user}@{host}"),
                ("contact_user", line.user),
                ("line", "yes"),
                ("endpoint", line.id),
                ("expiration", "300"),
                ("retry_interval", "60"),
                ("max_retries", "1000000"),  # Asterisk's ten would give up after ten minutes
                ("forbidden_retry_interval", "600"),
                ("fatal_retry_interval", "600"),  # else a single 404 stops it for good
            ],
        )


def _extension(name: str, *steps: str) -> Options:
    first, *others = steps
    return [("exten", f"{name},1,{first}"), *(("same", f"n{step}") for step in _numbered(others))]


def _numbered(steps: list[str]) -> Iterator[str]:
    """``(label),Application``: of a step that begins with ``label: ``."""
    for step in steps:
        label, mark, rest = step.partition(": ")
        yield f"({label}),{rest}" if mark else f",{step}"


def _dialplan(lines: list[Fxo | Trunk], section: AsteriskSection, secrets: Path) -> list[Section]:
    return [
        *(Section(f"penny-{line.id}", _numbers(line, lines, section, secrets)) for line in lines),
        Section("penny-busy", _extension("s", "Hangup(17)")),
        Section("penny-talk", _talk(section, secrets)),
        Section("penny-away", _away(section, secrets)),
        Section("penny-to", _places(section, secrets)),
        Section("penny-whisper", _whisper(section, secrets)),
    ]


def _token(secrets: Path) -> str:
    """Read by Asterisk when it asks: it stands in no rendered file."""
    return f"token=${{FILE({secrets / TOKEN_FILE},0,{TOKEN_CHARS})}}"


def _curl(section: AsteriskSection, question: str, body: str) -> str:
    return f"${{CURL({section.gateway_url.rstrip('/')}/asterisk/{question},{body})}}"


def _numbers(
    line: Fxo | Trunk, lines: list[Fxo | Trunk], section: AsteriskSection, secrets: Path
) -> Options:
    """Its own numbers; of a trunk those of every trunk: where two lead to one address, Asterisk may
    take a call of one for the other's."""
    beside = lines if isinstance(line, Trunk) else [line]
    capped = []
    if isinstance(line, Fxo):
        count = f"$[${{GROUP_COUNT({line.id}@penny)}} > {line.ports}]"
        capped = [f"Set(GROUP(penny)={line.id})", f"GotoIf({count}?penny-busy,s,1)"]
    options: Options = []
    for one in beside:
        for number in one.numbers if type(one) is type(line) else ():
            known = [f"Set(PENNY_DID={number})", f"Set(PENNY_LINE={one.id})"]
            options += _extension(number, *capped, *known, "Goto(penny-talk,s,1)")
    told = f"{_token(secrets)}&id=${{UUID()}}&line={line.id}&did="
    for other, number in (("_X.", UNLISTED), ("_+X.", UNLISTED), ("s", "s")):
        asked = _curl(section, "refused", f"{told}{number}")
        options += _extension(other, *TIMEOUTS, f"Set(PENNY_SAID={asked})", "Hangup(1)")
    return options


def _talk(section: AsteriskSection, secrets: Path) -> Options:
    """The caller's number reaches the request as digits alone; nothing else of theirs does."""
    told = f"{_token(secrets)}&id=${{PENNY_UUID}}"
    caller = "${URIENCODE(${FILTER(0-9+,${CALLERID(num)})})}"
    call = f"{told}&line=${{PENNY_LINE}}&did=${{URIENCODE(${{PENNY_DID}})}}&caller={caller}"
    call += "&dial=${PENNY_DIAL}"  # a call that Penny placed
    call += "&of=${PENNY_OF}"  # the call before it, where no one took its transfer
    call += "&again=${PENNY_AGAIN}"  # nothing was heard of the caller the first time
    return _extension(
        "s",
        "Set(PENNY_UUID=${UUID()})",
        *TIMEOUTS,
        f"Set(PENNY_SAID={_curl(section, 'announce', call)})",
        'GotoIf($["${PENNY_SAID}" = "ok"]?talk)',
        "Goto(penny-away,s,1)",
        "talk: Answer()",
        f"Set(TIMEOUT(absolute)={section.max_call_s})",
        _wire(section),
        "Set(TIMEOUT(absolute)=0)",
        f"Set(PENNY_SAID={_curl(section, 'next', told)})",
        'GotoIf($["${PENNY_SAID}" = "person"]?penny-away,person,1)',
        'GotoIf($["${PENNY_SAID:0:3}" = "to-"]?penny-to,${PENNY_SAID:3},1)',
        'GotoIf($["${PENNY_SAID}" = "done"]?done)',
        'GotoIf($["${PENNY_SAID}" = "again"]?again)',
        "Goto(penny-away,s,1)",
        "again: Set(PENNY_AGAIN=yes)",
        "Goto(penny-talk,s,1)",
        "done: Hangup()",
    )


def _wire(section: AsteriskSection) -> str:
    if section.wire == "audiosocket":
        # By itself the application ends the call where it fails: no word, no person after it.
        return f"TryExec(AudioSocket(${{PENNY_UUID}},{section.host}:{section.port}))"
    return "Dial(WebSocket/penny/c(slin)f(json)v(id=${PENNY_UUID}),,g)"


def _away(section: AsteriskSection, secrets: Path) -> Options:
    """``s``: Penny is away. ``person``: it hands over to the one who is rung then."""
    sound = [f"Playback({section.fallback_sound})"] if section.fallback_sound else []
    dial = section.fallback_dial
    away = [*sound, *([_dial(dial)] if dial else []), "Hangup()"]
    if not dial:
        return [*_extension("s", "Answer()", *away), *_extension("person", *away)]
    person = [*_extension("person", *_ring(dial, section, secrets)), *_over(section, secrets)]
    return [*_extension("s", "Answer()", *away), *person]


def _places(section: AsteriskSection, secrets: Path) -> Options:
    """The destinations that the operator named; no other is ever dialled."""
    places = section.transfers.items()
    rung = [_extension(name, *_ring(target, section, secrets)) for name, target in places]
    return [*(option for options in rung for option in options), *_over(section, secrets)]


def _ring(target: str, section: AsteriskSection, secrets: Path) -> list[str]:
    """The caller hears it ring; where no one takes it they come back to Penny, once."""
    return [
        "Set(PENNY_RANG=yes)",
        _dial(target, "gU(penny-whisper^${PENNY_UUID})"),
        f"Set(PENNY_SAID={_tell_over(section, secrets)})",
        "Set(PENNY_RANG=)",
        'GotoIf($["${PENNY_OF}" != ""]?done)',
        'GotoIf($["${PENNY_SAID}" = "back"]?back)',
        'GotoIf($["${DIALSTATUS}" = "ANSWER"]?done)',
        "back: Set(PENNY_OF=${PENNY_UUID})",
        "Goto(penny-talk,s,1)",
        "done: Hangup()",
    ]


def _over(section: AsteriskSection, secrets: Path) -> Options:
    """A caller who hangs up: told, too."""
    told = f"Set(PENNY_SAID={_tell_over(section, secrets)})"
    return _extension("h", 'GotoIf($["${PENNY_RANG}" != "yes"]?quiet)', told, "quiet: NoOp()")


def _tell_over(section: AsteriskSection, secrets: Path) -> str:
    """How it went. ``ANSWEREDTIME`` would count from when Penny answered: it is not told."""
    told = f"{_token(secrets)}&id=${{PENNY_UUID}}&status=${{DIALSTATUS}}"
    return _curl(section, "over", told)


def _whisper(section: AsteriskSection, secrets: Path) -> Options:
    """To the person who has answered, alone, before the two are joined: what it is about."""
    told = f"{_token(secrets)}&id=${{PENNY_UUID}}"
    asked = _curl(section, "whisper", f"{told}&of=${{ARG1}}")
    return _extension(
        "s",
        "Set(PENNY_UUID=${UUID()})",
        *TIMEOUTS,
        f"Set(PENNY_SAID={asked})",
        'GotoIf($["${PENNY_SAID}" = "say"]?say)',
        "Return()",
        f"say: {_wire(section)}",
        "Return()",
    )


def _dial(target: str, more: str = "") -> str:
    return f"Dial({target},{RING_S},r{more})"


def _websocket_client(section: AsteriskSection) -> Section:
    address = urlsplit(section.gateway_url)
    scheme = "wss" if address.scheme == "https" else "ws"
    options = [
        ("type", "websocket_client"),
        ("uri", f"{scheme}://{address.netloc}{address.path.rstrip('/')}/asterisk/media"),
        ("protocols", "media"),
        ("connection_type", "per_call_config"),
        ("connection_timeout", "1000"),
        ("tls_enabled", "yes" if scheme == "wss" else "no"),
    ]
    return Section("penny", options)
