// Trust policies (C2SP tlog-policy; docs/spec/ledger.md, "Policy"): which logs, which witnesses, how many of them.
//
// A policy is read as octets, each a character here: names of witnesses and groups mean nothing outside of it.

import { BadWriting, fromUtf8, hex } from "./bytes.js";
import { ED25519, isSameKey, readKey } from "./keys.js";
import { BadForm } from "./note.js";
import { Refusal } from "./refusal.js";

const MOST_BYTES = 1000000;
const MOST_LOGS = 64;
const MOST_WITNESSES = 256;
const MOST_GROUPS = 256;
const NONE = "none";

// What is known where nobody names a policy.
export const NO_POLICY = { logs: [], witnesses: new Map(), groups: new Map(), quorum: NONE };

// Gives { logs: [key], witnesses: Map of name to key, groups: Map of name to { needed, members }, quorum: name }.
export async function readPolicy(bytes) {
  if (bytes.length > MOST_BYTES) throw new Refusal("bad-policy", "the policy is longer than its bound");
  const text = octets(bytes);
  const lines = text.split("\n");
  const policy = { logs: [], witnesses: new Map(), groups: new Map(), members: new Set(), quorum: null };
  let at = 0;
  try {
    if (/[\u0000-\u0008\u000b-\u001f\u007f]/.test(text)) throw new BadForm("a control character");
    if (lines.pop() !== "") throw new BadForm("the last line does not end: it may have been cut");
    for (const line of lines) {
      at += 1;
      const parts = line.split(/[ \t]+/).filter((part) => part !== "");
      if (parts.length > 0 && !parts[0].startsWith("#")) await readLine(policy, parts);
    }
    if (policy.quorum === null) throw new BadForm("no quorum");
  } catch (error) {
    if (error instanceof BadForm) throw new Refusal("bad-policy", `the policy, at line ${at}: ${error.message}`);
    throw error;
  }
  return policy;
}

function octets(bytes) {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

async function readLine(policy, [what, ...parts]) {
  if (what === "log" && (parts.length === 1 || parts.length === 2)) return addLog(policy, await keyOf(parts[0]));
  if (what === "witness" && (parts.length === 2 || parts.length === 3)) return addWitness(policy, parts[0], await keyOf(parts[1]));
  if (what === "group" && parts.length >= 3) return addGroup(policy, parts);
  if (what === "quorum" && parts.length === 1) return setQuorum(policy, parts[0]);
  throw new BadForm("a line that no policy has");
}

async function keyOf(part) {
  try {
    return await readKey(fromUtf8(Uint8Array.from(part, (octet) => octet.charCodeAt(0))));
  } catch (error) {
    if (error instanceof BadWriting) throw new BadForm(error.message);
    throw error;
  }
}

function addLog({ logs }, key) {
  if (logs.some((each) => hex(each.public) === hex(key.public))) throw new BadForm("a log's key twice");
  if (logs.push(key) > MOST_LOGS) throw new BadForm("too many logs");
}

function addWitness(policy, name, key) {
  checkNew(policy, name);
  if (key.type === ED25519) throw new BadForm("a witness's key is of a type for cosignatures");
  if ([...policy.witnesses.values()].some((each) => hex(each.public) === hex(key.public))) throw new BadForm("a witness's key twice");
  if (policy.witnesses.set(name, key).size > MOST_WITNESSES) throw new BadForm("too many witnesses");
}

function addGroup(policy, [name, needs, ...members]) {
  checkNew(policy, name);
  for (const member of members) {
    if (!isKnown(policy, member)) throw new BadForm("a member that is not named before");
    if (policy.members.has(member)) throw new BadForm("a member of two groups");
    policy.members.add(member);
  }
  const needed = needs === "all" ? members.length : needs === "any" ? 1 : /^[1-9][0-9]{0,8}$/.test(needs) ? Number(needs) : 0;
  if (needed < 1 || needed > members.length) throw new BadForm("a group needs a number of its members");
  if (policy.groups.set(name, { needed, members }).size > MOST_GROUPS) throw new BadForm("too many groups");
}

function setQuorum(policy, name) {
  if (policy.quorum !== null) throw new BadForm("a second quorum");
  if (name !== NONE && !isKnown(policy, name)) throw new BadForm("a quorum that is not named before");
  policy.quorum = name;
}

function checkNew(policy, name) {
  if (name === NONE || isKnown(policy, name)) throw new BadForm("a name twice, or none's");
}

function isKnown({ witnesses, groups }, name) {
  return witnesses.has(name) || groups.has(name);
}

// Whether the witness has confirmed the head. A time of zero states nothing about when: such a line counts for nobody.
export function hasConfirmed(witness, signed) {
  return signed.some(({ key, time }) => time !== 0n && isSameKey(key, witness));
}

// Whether those who have signed are enough. A name is in one group at most, so that this ends.
export function isFulfilled(policy, signed) {
  const holds = (name) => {
    if (policy.witnesses.has(name)) return hasConfirmed(policy.witnesses.get(name), signed);
    const { needed, members } = policy.groups.get(name);
    return members.filter(holds).length >= needed;
  };
  return policy.quorum === NONE || holds(policy.quorum);
}
