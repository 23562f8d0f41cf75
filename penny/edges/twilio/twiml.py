"""The documents that tell Twilio what becomes of a call. Pure; all text is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement, tostring


VOICES = {"es": "es-ES", "en": "en-US"}
RINGS = {"es": "es", "en": "us"}
RING_S = 30
"""How long a transfer rings before Twilio goes on."""


def connect(stream_url: str, parameters: Mapping[str, str]) -> Element:
    """Connect the call to a stream; what follows in the document is for when that is lost."""
    response = Element("Response")
    stream = SubElement(SubElement(response, "Connect"), "Stream", url=stream_url)
    for name, value in parameters.items():
        SubElement(stream, "Parameter", name=name, value=value)
    return response


def reject() -> Element:
    """Refuse a call before it is answered, as busy."""
    response = Element("Response")
    SubElement(response, "Reject", reason="busy")
    return response


def redirect(url: str) -> Element:
    """Ask what becomes of the call once more, there."""
    response = Element("Response")
    SubElement(response, "Redirect").text = url
    return response


def hang_up() -> Element:
    """End a call that has been answered."""
    response = Element("Response")
    SubElement(response, "Hangup")
    return response


def put_through(
    response: Element, number: str, *, whisper: str = "", action: str = "", ring: str = ""
) -> None:
    """Append a number to put the call through to; it stays up for as long as the two talk.

    Args:
        whisper: address of what the number hears before they are joined.
        action: address that tells what comes after; without it the next verb.
        ring: language whose country's ring-back the caller hears; '' has Twilio choose.
    """
    verb = SubElement(response, "Dial", timeout=str(RING_S))
    if action:
        verb.set("action", action)
    if ring in RINGS:
        verb.set("ringTone", RINGS[ring])
    target = SubElement(verb, "Number")
    target.text = number
    if whisper:
        target.set("url", whisper)


def say(response: Element, text: str, language: str) -> None:
    """Append a sentence in Twilio's own voice."""
    verb = SubElement(response, "Say", language=VOICES.get(language, "es-ES"))
    verb.text = text


def write(response: Element) -> str:
    """The document."""
    return '<?xml version="1.0" encoding="UTF-8"?>' + tostring(response, encoding="unicode")
