"""Where lines and their passwords lie, and how a change of them reaches Asterisk."""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import secrets
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from difflib import unified_diff
from itertools import islice
from pathlib import Path
from typing import Any

import structlog
from pydantic import ValidationError

from config.telephony import TelephonySection
from penny.aio.files import write_whole
from penny.errors import PennyError, ProtocolError
from penny.telephony.asterisk_files import TOKEN_FILE, render_files, render_password
from penny.telephony.conf import read
from penny.telephony.install import File, install, make_folder
from penny.telephony.lines import Line, Lines
from penny.telephony.reception import TelephonyReception


log = structlog.get_logger()

Json = dict[str, Any]

LINES = "lines.json"
STATES = "states.json"
WRITTEN = "written.json"
MOST_DIFF_LINES = 200
REFUSED = "refused.json"
MOST_REFUSED = 20
FILES = "asterisk"
SECRETS = "secrets"
COMMAND_WAIT_S = 15


class LinesUnavailable(PennyError):
    """The lines cannot be read or written; what was there before is there still."""

    code = "telephony_unavailable"
    retryable = True


class ChangedByHand(PennyError):
    """A file of Asterisk's is not as Penny wrote it. ``diff``: what saving would do to it; '' for
    one of several tenants, who may neither see the others' lines nor undo what was changed."""

    code = "changed_by_hand"

    def __init__(self, name: str, diff: str) -> None:
        what = "save again with overwrite to lose that" if diff else "ask who runs this Penny"
        code = "changed_by_hand" if diff else "changed_by_operator"
        super().__init__(f"{name} was changed by hand; {what}", code=code)
        self.diff = diff


class TelephonyStore:
    """The folder ``telephony.folder``. Every method waits for the disk: call them in a thread.

    Args:
        folder: absolute.
        environ: where passwords lie that a line names as ``env:NAME``.
    """

    def __init__(self, folder: Path, section: TelephonySection, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._section = section
        self._environ = environ
        self.secrets = folder / SECRETS
        self.files = folder / FILES

    def read(self) -> Lines:
        """Every tenant's lines. Raises LinesUnavailable."""
        path = self._folder / LINES
        try:
            return Lines.model_validate_json(path.read_bytes(), strict=False)
        except FileNotFoundError:
            return Lines()
        except OSError as error:
            raise LinesUnavailable(f"{path}: {error.strerror}") from error
        except ValidationError as error:
            reason = f"{path} is not as Penny writes it: mend it or take it away"
            raise LinesUnavailable(reason, retryable=False) from error

    def password(self, line: Line) -> str | None:
        """A line's password, where it is known."""
        kind, _, name = line.password_ref.partition(":")
        if kind == "env":
            return self._environ.get(name) or None
        if kind != "file":
            return None
        try:
            sections, _ = read((self.secrets / f"{name}.conf").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return next((value for found in sections for _, value in found.options), None)

    def token(self) -> str:
        """What Asterisk shows when it announces a call; '' while nothing was saved."""
        try:
            return (self.secrets / TOKEN_FILE).read_text(encoding="utf-8")
        except OSError:
            return ""

    def read_state(self, tenant: str) -> Json:
        """What the last test of a tenant's connection told; {} where there was none."""
        return dict(self._kept(STATES).get(tenant) or {})

    def write_state(self, tenant: str, state: Json) -> None:
        """Keep it for every process of this gateway. Raises LinesUnavailable."""
        self._keep(STATES, tenant, lambda _before: state)

    def refused(self, tenant: str) -> list[Json]:
        """Calls to numbers that the lines do not list, newest first: ``number``, ``at_ms``."""
        return list(self._kept(REFUSED).get(tenant) or ())

    def note_refused(self, tenant: str, number: str, at_ms: int) -> None:
        """Keep the last ``MOST_REFUSED`` numbers, each once. Raises LinesUnavailable."""

        def add(before: list[Json] | None) -> list[Json]:
            others = [each for each in before or () if each["number"] != number]
            return [{"number": number, "at_ms": at_ms}, *others][:MOST_REFUSED]

        self._keep(REFUSED, tenant, add)

    def _kept(self, name: str) -> Json:
        """By tenant; {} where the file is not there, or is none of ours."""
        try:
            kept = json.loads((self._folder / name).read_bytes())
        except (OSError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}

    def _keep(self, name: str, tenant: str, change: Callable[[Any], Any]) -> None:
        try:
            with self._alone(".kept.lock"):  # not that of saving, which waits for Asterisk
                kept = self._kept(name)
                write_whole(
                    self._folder / name, json.dumps({**kept, tenant: change(kept.get(tenant))})
                )
        except OSError as error:
            raise LinesUnavailable(f"{name} was not written: {error}") from error

    def save(
        self,
        tenant: str,
        reception: TelephonyReception,
        *,
        overwrite: bool = False,
        is_house: bool = False,
    ) -> Lines:
        """Keep a tenant's lines and write Asterisk's files anew: all of it, or nothing.

        Args:
            overwrite: also those that were changed by hand.
            is_house: for one who may do all of this installation, not of this tenant alone: names
                any variable as a password, and sees and undoes what was changed by hand. Where
                there is no other tenant's line, a tenant may see and undo that too.

        Raises:
            ProtocolError: something of it cannot be.
            ChangedByHand: a file is not as Penny left it.
            LinesUnavailable: disk or Asterisk did not take it.
        """
        try:
            for folder in (self._folder, self.secrets, self.files):
                make_folder(folder, self._section.asterisk.group)
            with self._alone():
                lines = self.read().with_reception(tenant, reception, is_house=is_house)
                files = self._files(lines, tenant, reception)
                is_all = is_house or all(
                    line.tenant == tenant for line in (*lines.fxo, *lines.trunks)
                )
                if not (overwrite and is_all):
                    self._check_untouched(files, may_see=is_all)
                try:
                    install(files, self._section.asterisk.group, lambda: self._load(lines))
                except LinesUnavailable:
                    self._reload()
                    raise
        except OSError as error:
            raise LinesUnavailable(f"the lines were not saved: {error}") from error
        return lines

    def _files(self, lines: Lines, tenant: str, reception: TelephonyReception) -> dict[Path, File]:
        files: dict[Path, File] = {}
        told = (reception.fxo_gateway, reception.carrier_grade)
        for line, part in zip(lines.of(tenant), told, strict=True):
            if line is not None and part is not None:
                password = part.password
                if line.password_ref.startswith("env:"):
                    password = self._from_environment(line)
                path = self.secrets / f"{line.id}.conf"
                if password:
                    files[path] = File(_password_file(line, password), is_secret=True)
                elif line.password_ref and not path.exists():
                    reason = f"the password of {line.id} is lost: write it again"
                    raise ProtocolError(reason, field=f"{reception.method}.password")
        if not self.token():
            token = secrets.token_urlsafe(32).encode()
            files[self.secrets / TOKEN_FILE] = File(token, is_secret=True)
        for name, text in render_files(lines, self._section.asterisk, self.secrets).items():
            files[self.files / name] = File(text.encode())
        digests = {
            path.name: _digest(file.content)
            for path, file in files.items()
            if path.parent == self.files
        }
        files[self._folder / WRITTEN] = File(json.dumps(digests).encode(), is_secret=True)
        told_lines = lines.model_dump_json(indent=1).encode()
        files[self._folder / LINES] = File(told_lines, is_secret=True)
        return files

    def _check_untouched(self, files: Mapping[Path, File], *, may_see: bool) -> None:
        """Raises ChangedByHand, with what writing these would undo."""
        written = self._kept(WRITTEN)
        for path, file in files.items():
            if path.name not in written or not path.exists():
                continue
            found = path.read_bytes()
            if _digest(found) != written[path.name]:
                old, new = (
                    each.decode(errors="replace").splitlines() for each in (found, file.content)
                )
                lines = unified_diff(old, new, path.name, path.name, n=1, lineterm="")
                diff = "\n".join(islice(lines, MOST_DIFF_LINES))
                raise ChangedByHand(path.name, diff if may_see else "")

    def _from_environment(self, line: Line) -> str:
        password = self.password(line)
        if password is None:
            name = line.password_ref.removeprefix("env:")
            raise LinesUnavailable(f"{name} is not set where Penny runs", retryable=False)
        return password

    def _reload(self) -> None:
        """Let Asterisk go on with what is there again."""
        with suppress(LinesUnavailable):
            if self._section.asterisk.command:
                self._command("module reload res_pjsip.so")
                self._command("dialplan reload")

    @contextmanager
    def _alone(self, name: str = ".lock") -> Iterator[None]:
        """One process of the gateway at a time."""
        with (self._folder / name).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _load(self, lines: Lines) -> None:
        """Let Asterisk load what was written. Raises LinesUnavailable: it has it not."""
        if not self._section.asterisk.command:
            return
        try:
            self._take(lines)
        except LinesUnavailable:
            log.exception("asterisk_refused_lines")
            raise

    def _take(self, lines: Lines) -> None:
        self._command("module reload res_pjsip.so")
        self._command("dialplan reload")
        for line in lines.receiving():
            told = self._command(f"pjsip show endpoint {line.id}")
            if not re.search(rf"Endpoint:\s+{line.id}\b", told):
                raise LinesUnavailable(f"Asterisk did not load {line.id}; its log says why")
            if line.numbers and line.numbers[0] not in self._command(
                f"dialplan show penny-{line.id}"
            ):
                raise LinesUnavailable(f"Asterisk did not load the numbers of {line.id}")

    def _command(self, line: str) -> str:
        command = [*self._section.asterisk.command, line]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=COMMAND_WAIT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LinesUnavailable(f"Asterisk's console cannot be asked: {error}") from error
        if done.returncode != 0:
            raise LinesUnavailable(f"Asterisk's console refused '{line}'")
        return done.stdout


def _password_file(line: Line, password: str) -> bytes:
    try:
        return render_password(line.id, password).encode()
    except ValueError as error:  # of the environment: what a page sends was checked
        reason = f"the password of {line.id} has characters that Asterisk cannot read"
        raise ProtocolError(reason) from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
