"""E-mail to blocks: the subject as heading, then the body; attachments are named, not read."""

from __future__ import annotations

from email import policy
from email.parser import BytesParser

from kb.sources.blocks import Block, FileContent
from kb.sources.front_matter import FrontMatter
from kb.sources.html import read_fragment
from kb.sources.text import read_text


def read_mail(data: bytes, matter: FrontMatter) -> FileContent:
    """Read a message as saved by a mail program (``.eml``), its plain text before its HTML."""
    message = BytesParser(policy=policy.default).parsebytes(data)
    subject = str(message["subject"] or "").strip()
    blocks = [Block("heading", subject, "subject", 1)] if subject else []
    body = message.get_body(("plain", "html"))
    if body is not None:
        text = str(body.get_content())
        is_html = body.get_content_type() == "text/html"
        blocks += read_fragment(text, "body") if is_html else read_text(text).blocks
    attached = [part.get_filename() or "?" for part in message.iter_attachments()]
    lacking = (
        f"attachments are not read: {', '.join(attached)}; save them apart" if attached else ""
    )
    return FileContent.of(matter, matter.title or subject, blocks, lacking=lacking)
