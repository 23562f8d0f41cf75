"""``crm``: the CRM that is asked who calls, and told what came of it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from config.webhooks import Url, Variable
from penny.section import Section, key_error


KEY = "TWENTY_CRM_API_KEY"
LONGEST_WAIT_MS = 300
"""Most that a call's beginning may wait for a CRM."""
Path = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*|\.\d+)*$")]


class HttpCrmSection(Section):
    """``crm.http``: how a CRM of another kind is asked and told, by templates.

    ``{number}``, ``{digits}``, ``{email}`` and ``{user_id}`` stand for the caller in ``find``; the
    fields of a note (``{id}``, ``{title}``, ``{body}``, ``{person_id}``, ``{company_id}``,
    ``{link}``, ``{outcome}``) in ``note``. Answers are read by paths: ``data.people``, ``name.0``.
    """

    find: str = Field(pattern="^/", description="path that finds contacts: /contacts?p={digits}")
    people: Path | Literal[""] = Field("", description="where the list lies; empty is the answer")
    id: Path = Field("id", description="of a contact")
    name: Path = Field("name", description="of a contact")
    company: Path = Field("company", description="name of a contact's company")
    company_id: Path = Field("company_id", description="of a contact's company")
    phones: tuple[Path, ...] = Field(("phone",), description="a contact's numbers")
    emails: tuple[Path, ...] = Field(("email",), description="a contact's addresses")
    note: str = Field(
        "", pattern="^(/|$)", description="path that takes a note by POST; empty writes none"
    )
    note_body: dict[str, str] = Field(
        default_factory=lambda: {"id": "{id}", "title": "{title}", "text": "{body}"},
        description="JSON of a note: field: template",
    )


class CrmSection(Section):
    """``crm`` and ``tenants.NAME.crm``: a CRM, and how it is treated."""

    kind: Literal["none", "twenty", "http"] = Field("none", description="twenty, or any by `http`")
    url: Url = Field("", description="its address; empty is TWENTY_CRM_URL of the environment")
    key: Variable = Field(KEY, description="environment variable with its API key")
    wait_ms: int = Field(
        250, ge=0, le=LONGEST_WAIT_MS, description="most that a call waits for it; 0 asks nothing"
    )
    requests_per_minute: int = Field(
        50, ge=5, le=6000, description="it is asked no more often by one process; look-ups go first"
    )
    region: str = Field(
        "ES", pattern=r"^[A-Z]{2}$", description="country of numbers without its code"
    )
    create_contacts: bool = Field(
        False, description="make a contact of an unknown caller who shows a number"
    )
    call_url: str = Field(
        "", description="address of a call's page in its notes, with {call_id}; empty names the id"
    )
    webhook_secret: str = Field(
        "",
        pattern=r"^([A-Za-z_]\w*)?$",
        description="environment variable with the secret that its own webhooks are signed with",
    )
    http: HttpCrmSection | None = Field(None, description="how a CRM of kind http is asked")

    @model_validator(mode="after")
    def _has_templates(self) -> Self:
        if self.kind == "http" and (self.http is None or not self.url):
            raise key_error("http" if self.http is None else "url", "kind http needs url and http")
        if self.kind == "http" and self.create_contacts:
            raise key_error("create_contacts", "a CRM of kind http is sent notes alone")
        return self
