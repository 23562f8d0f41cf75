// What went wrong, in the page's language: by the code and the field that the server names.

import { words } from "./words.js";

/** A sentence of the server's own, where the page's language has it; else as it came. */
export function reason(text) {
  const [begins, told] = words().reasons().find(([start]) => text.startsWith(start)) ?? [];
  return told?.replace("…", () => reason(text.slice(begins.length))) ?? text;
}

/** The name of a field without where it stands: `carrier_grade.dids.0.number` is `number`. */
const nameOf = (field) => field?.split(".").findLast((part) => !/^\d+$/.test(part)) ?? "";

function labelOf(name) {
  const { calls, telephony } = words();
  return telephony.fields[name] ?? calls[name] ?? calls.linked[name] ?? telephony[name] ?? name;
}

/** The sentence for an error of `checked`; one without a status never reached Penny. */
export function tell({ status, code, field }) {
  const { faults, admin } = words();
  if (!status) return admin.unreachable;
  const told = faults[code];
  const name = nameOf(field);
  if (typeof told === "string") return told;
  if (told) return told(labelOf(name));
  if (status >= 500) return faults.internal_error;
  if (name) return faults.fields[name] ?? faults.wrong(labelOf(name));
  return faults.refused(code ?? status);
}
