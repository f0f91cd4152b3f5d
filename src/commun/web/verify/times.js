// Times as they are written in receipts and in the ledger: 2026-11-22T09:30:00Z, UTC, whole seconds, a day that exists.

export function isTime(text) {
  if (typeof text !== "string" || !/^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$/.test(text)) return false;
  if (text.startsWith("0000")) return false;
  const moment = new Date(text);
  // The 31st of February would become a day of March.
  return !Number.isNaN(moment.getTime()) && moment.toISOString() === text.replace("Z", ".000Z");
}

// Seconds since the Epoch.
export function seconds(text) {
  return Date.parse(text) / 1000;
}
