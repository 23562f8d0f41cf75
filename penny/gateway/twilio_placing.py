"""What Twilio is asked for to place a call. Pure."""

from __future__ import annotations

from config.telephony import DialingSection
from penny.telephony.dial_book import Dial


VOICE = "/twilio/voice"
STATUS = "/twilio/status"
AMD = "/twilio/amd"
DETECTION = {"enable": "Enable", "message_end": "DetectMessageEnd"}
"""``telephony.twilio.machine_detection`` as Twilio writes it."""


def placing(
    dial: Dial, section: DialingSection, public_url: str, machine_detection: str
) -> list[tuple[str, str]]:
    """The fields of ``POST …/Calls.json``.

    Args:
        public_url: under which Twilio reaches the gateway.
    """
    about = f"?dial={dial.id}"
    fields = [
        ("To", dial.number),
        ("From", dial.caller_id),
        ("Url", f"{public_url}{VOICE}{about}"),
        ("StatusCallback", f"{public_url}{STATUS}{about}"),
        *(("StatusCallbackEvent", event) for event in ("ringing", "answered", "completed")),
        ("Timeout", str(section.ring_s)),
        ("TimeLimit", str(section.max_s)),
    ]
    detection = DETECTION.get(machine_detection)
    if detection is not None and dial.asked.get("on_machine", "talk") != "talk":
        callback = f"{public_url}{AMD}{about}"
        fields += [("MachineDetection", detection), ("AsyncAmd", "true")]
        fields += [("AsyncAmdStatusCallback", callback)]
    return fields
