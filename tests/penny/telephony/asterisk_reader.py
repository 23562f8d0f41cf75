"""How Asterisk reads a configuration file, after its documentation and ``main/config.c``.

Written apart from ``penny.telephony.conf``: one byte at a time, with block comments, appending
operators, templates and their inheritance. What it does not know is an error.
"""

from __future__ import annotations

from pathlib import Path


Options = list[tuple[str, str]]


def read_file(path: Path) -> dict[str, Options]:
    """Section -> options, inherited ones first; templates are no sections."""
    sections: dict[str, Options] = {}
    templates: dict[str, Options] = {}
    _read(path, sections, templates)
    return sections


def _read(path: Path, sections: dict[str, Options], templates: dict[str, Options]) -> None:
    current: Options | None = None
    is_comment = False
    for raw in path.read_bytes().split(b"\n"):
        text = raw[:8191].decode()
        kept, at = "", 0
        while at < len(text):
            if is_comment:
                end = text.find("--;", at)
                at, is_comment = (len(text), True) if end < 0 else (end + 3, False)
            elif text[at] == ";":
                if kept.endswith("\\"):
                    kept = kept[:-1] + ";"
                    at += 1
                elif text.startswith(";--", at) and not text.startswith(";---", at):
                    is_comment = True
                    at += 3
                else:
                    break
            else:
                kept += text[at]
                at += 1
        line = kept.strip(" \t\r\n\x0b\x0c")
        if not line:
            continue
        if line[0] == "[":
            current = _section(line, sections, templates)
        elif line[0] == "#":
            word, _, name = line[1:].partition(" ")
            assert word == "include", line
            _read(Path(name.strip().strip('"<>')), sections, templates)
        else:
            assert current is not None, f"parse error: {line}"
            name, mark, value = line.partition("=")
            assert mark, f"no '=': {line}"
            value = value.removeprefix(">").strip()
            name = name.strip()
            if name.endswith("+"):
                name = name[:-1].strip()
                before = [each for each in current if each[0] == name]
                value = (before[-1][1] if before else "") + value
            current.append((name, value))


def _section(line: str, sections: dict[str, Options], templates: dict[str, Options]) -> Options:
    name, mark, header = line[1:].partition("]")
    assert mark, line
    options: Options = []
    kind = sections
    for word in header.strip().strip("()").split(",") if header.strip() else []:
        if word == "!":
            kind = templates
        elif word == "+":
            options = (sections if name in sections else templates)[name]
        else:
            options += templates[word] if word in templates else sections[word]
    while name in kind and "+" not in header:
        name += "'"  # another section of that name stands beside it
    kind[name] = options
    return options
