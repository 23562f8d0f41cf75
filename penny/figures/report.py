"""The dashboard's figures as one HTML file without a script, a link or a request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from penny.figures.words import Words, read_words


Json = dict[str, Any]

WIDTH, HEIGHT = 600, 120
LABELS = {
    "outcomes": "outcomes",
    "sentiment": "levels",
    "intents": "intents",
    "topics": "",
    "ends": "ends",
    "alerts": "kinds",
    "rules": "",
}
"""Tables of labels, and the words of their labels."""
TRENDS = ("calls", "resolution_rate", "escalation_rate", "avg_sentiment", "avg_latency", "cost")
STYLE = """
:root { color-scheme: light dark; font: 400 1rem/1.5 system-ui, sans-serif; }
body { max-width: 64rem; margin: 2rem auto; padding: 0 1.2rem;
  background: light-dark(#fcf9f3, #131110); color: light-dark(#1d1a16, #f2ebdf); }
h1, h2 { font-family: Georgia, serif; } h2 { margin-top: 2.4rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(10.5rem, 1fr)); gap: 1.4rem; }
.figures b { display: block; font: 600 1.8rem/1.2 Georgia, serif; }
small, caption, .quiet { color: light-dark(#655c50, #aea391); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; break-inside: avoid; }
caption { text-align: start; font-weight: 600; padding: 1.2rem 0 .3rem; }
th, td { padding: .3rem .7rem .3rem 0; text-align: end; border-bottom: 1px solid light-dark(#dcd1bd, #38322b); }
:is(th, td):first-child, .name { text-align: start; font-weight: 400; }
svg { width: 100%; height: 7rem; overflow: visible; }
svg rect { fill: light-dark(#1b665b, #74cdb9); }
svg path { fill: none; stroke: light-dark(#98421a, #ee9d6c); stroke-width: 2; vector-effect: non-scaling-stroke; }
"""  # noqa: E501  # a style sheet


def write_report(found: Json, language: str) -> str:
    """The page.

    Args:
        found: what ``Dashboard.read`` answers.
        language: ``es`` or ``en``.
    """
    say, span = read_words(language), found["range"]
    units = {each["name"]: each["unit"] for each in found["figures"]}
    title = f"Penny · {say['']['title']} · {span['since']} – {span['until']}"
    return "".join(
        [
            f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>",
            f"<h1>{escape(title)}</h1>",
            f'<p class="quiet">{escape(span["timezone"])} · {span["before"][0]} – '
            f"{span['before'][1]}: {escape(say['']['before'].lower())}</p>",
            f"<h2>{escape(say['']['overview'])}</h2>",
            '<div class="figures">',
            *(_figure(each, say, language) for each in found["figures"]),
            "</div>",
            f"<h2>{escape(say['']['trends'])}</h2>",
            *(_trend(found["series"], name, units[name], say, language) for name in TRENDS),
            f"<h2>{escape(say['']['detail'])}</h2>",
            *_tables(found, units, say, language),
            "</body></html>\n",
        ]
    )


def write_value(unit: str, value: float | None, language: str) -> str:
    """A figure as a person writes it; a dash where it is not known."""
    if value is None:
        return "—"
    if unit == "share":
        text = f"{value * 100:.1f}".removesuffix(".0") + " %"
    elif unit == "ms":
        text = f"{round(value)} ms" if value < 1000 else f"{value / 1000:.1f} s"
    elif unit == "s":
        return f"{int(value) // 60}:{int(value) % 60:02}"
    elif unit == "score":
        text = f"{value:+.2f}" if value else "0"
    elif unit == "usd":
        text = f"${value:.4f}" if value < 0.01 else f"${value:.2f}"
    else:
        text = f"{round(value)}"
    return text.replace(".", ",") if language == "es" else text


def _figure(each: Json, say: Words, language: str) -> str:
    value, before = (write_value(each["unit"], each[k], language) for k in ("value", "previous"))
    base = f" · {each['n']} / {each['of']}" if each["unit"] == "share" and each["of"] else ""
    lacks = f" · {each['unknown']} {say['']['notKnown']}" if each["unknown"] else ""
    name, about = (say[group][each["name"]] for group in ("figures", "about"))
    return (
        f'<div title="{escape(about)}"><small>{escape(name)}</small><b>{value}</b>'
        f"<small>{escape(say['']['before'])}: {before}{escape(base + lacks)}</small></div>"
    )


def _trend(series: list[Json], name: str, unit: str, say: Words, language: str) -> str:
    known = [point[name] for point in series if point[name] is not None]
    if not known:
        return ""
    least, most = min(0.0, *known), max(0.0, *known)
    room = (most - least) or 1.0
    step = WIDTH / len(series)
    marks = []
    for at, point in enumerate(series):
        if point[name] is None:
            continue
        height = (point[name] - least) / room * HEIGHT
        marks.append(
            f'<rect x="{at * step + step * 0.14:.1f}" y="{HEIGHT - height:.1f}" '
            f'width="{step * 0.72:.1f}" height="{max(height, 1.0):.1f}"/>'
        )
    span = " – ".join(write_value(unit, value, language) for value in (min(known), max(known)))
    title = f"{say['figures'][name]}: {span}"
    return (
        f"<p><b>{escape(say['figures'][name])}</b> <small>{escape(span)} · {series[0]['at']} – "
        f'{series[-1]["at"]}</small></p><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'preserveAspectRatio="none" aria-label="{escape(title)}">{"".join(marks)}</svg>'
    )


def _tables(found: Json, units: dict[str, str], say: Words, language: str) -> Iterator[str]:
    tables, titles, plain = found["tables"], say["tables"], say[""]
    rows: list[Sequence[str]] = [
        (
            say["stages"][row["stage"]],
            _way(row, say),
            str(row["turns"]),
            *(write_value("ms", row[name], language) for name in ("p50", "p95", "p99", "mean")),
        )
        for row in tables["latency"]
    ]
    heads: tuple[str, ...] = (
        plain["stage"],
        say["calls"]["mode"],
        plain["turns"],
        "p50",
        "p95",
        "p99",
    )
    yield _table(titles["latency"], (*heads, plain["mean"]), rows)
    names = ("calls", *TRENDS[1:5], "cost_per_call")
    rows = [
        (_way(row, say), *(write_value(units[name], row[name], language) for name in names))
        for row in tables["ways"]
    ]
    heads = (say["calls"]["mode"], *(say["figures"][name] for name in names))
    yield _table(titles["ways"], heads, rows)
    for name, group in LABELS.items():
        labels = {**say.get(group, {}), "unknown": plain["notKnown"]}
        rows = [
            (
                labels.get(row["label"], row["label"]),
                str(row["n"]),
                write_value("share", row["share"], language),
                str(row["previous"]),
            )
            for row in tables[name]
        ]
        heads = (plain["label"], plain["calls"], plain["share"], plain["before"])
        yield _table(titles[name], heads, rows)
    rows = [
        (
            say["components"].get(row["label"], row["label"]),
            write_value("usd", row["usd"], language),
        )
        for row in tables["cost"]
    ]
    yield _table(titles["cost"], (plain["label"], say["figures"]["cost"]), rows)
    rows = [
        (row["at"], *(write_value(units[name], row[name], language) for name in TRENDS))
        for row in found["series"]
    ]
    yield _table(plain["trends"], ("", *(say["figures"][name] for name in TRENDS)), rows)


def _way(row: Json, say: Words) -> str:
    named = (say["modes"].get(row["mode"], row["mode"]), say["edges"].get(row["edge"], row["edge"]))
    return " · ".join(filter(None, named)) or say[""]["every"]


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    top = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f"<table><caption>{escape(title)}</caption><thead><tr>{top}</tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )
