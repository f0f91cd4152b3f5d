// Step 5 of docs/spec/receipt.md: the edition was adopted by the charter's board.
//
// Of the files in the bundle, nothing of which is trusted: every root from the first to the edition's, each vouched for by
// the one before; the edition's targets, snapshot and timestamp, signed by that root's quorum and bound to each other; its
// files by length and SHA-256; the charter itself, which is the one that the root has entrenched. Then: that this is the
// edition and the charter that the receipt names, that there is no file besides, that the mandate had not ended unsaid.
//
// Refuses, in this order: charter-other-edition (no targets of that number), charter-invalid, charter-other-edition,
// charter-extra-file, charter-expired.

import { hex, sha256 } from "../bytes.js";
import { Refusal } from "../refusal.js";
import { isObject } from "../strict-json.js";
import { charterKeyFromText } from "./keys.js";
import { CHARTER_BYTES_MOST, CHARTER_FILE_BYTES_MOST } from "./source.js";
import { charterClauseDigest, isCharterFileName, readCharterClauses } from "./source.js";
import { checkTufQuorum, isTufDigest, isTufTime, isTufWhole, readTuf, readTufRoot, tufSigners } from "./tuf.js";
import { charterRefusal, hasCharterFields } from "./values.js";

const ADOPTED_ROOTS_MOST = 1024;
const ADOPTED_FILES_MOST = 256;
const ADOPTED_REASON_MOST = 2000; // characters
const ADOPTED_GRACE_MS = 60000;

// `files`: a Map from names in the published charter to bytes. `predicate`: the statement's.
// {charter: its clauses, edition, digest, firstRoot, roots: how many boards there were, signed: how many members have signed
// this edition, quorum, expires}.
export async function checkAdopted(files, predicate) {
  const { edition: number, digest, first_root: firstRoot, stale } = predicate.charter;
  const other = new Refusal("charter-other-edition", "the bundle has another edition than the receipt names");
  if (!files.has(`metadata/${number}.targets.json`)) throw other;
  const folder = new AdoptedFolder(files);
  const targets = await readAdoptedTargets(folder, number);
  const roots = await walkRoots(folder, targets.signed["x-commun"].root);
  const found = await checkEdition(folder, number, targets, roots);
  if (roots[0].digest !== firstRoot || targets.digest !== digest) throw other;
  folder.checkAllUsed();
  const expires = [targets.signed.expires, roots.at(-1).signed.expires].sort()[0];
  if (stale !== true && Date.parse(predicate.began) - Date.parse(expires) > ADOPTED_GRACE_MS) {
    throw new Refusal("charter-expired", "the board's mandate had ended, and the receipt does not say so");
  }
  return { ...found, edition: number, digest, firstRoot, roots: roots.length, expires };
}

// The published files, and which of them were needed.
class AdoptedFolder {
  constructor(files) {
    this.files = files;
    this.used = new Set();
  }

  find(name) {
    this.used.add(name);
    return this.files.get(name);
  }

  get(name) {
    const data = this.find(name);
    if (data === undefined) throw charterRefusal(`${name} is missing`);
    return data;
  }

  checkAllUsed() {
    for (const name of this.files.keys()) {
      if (!this.used.has(name)) throw new Refusal("charter-extra-file", "the bundle has a file that the edition does not");
    }
  }
}

async function readAdoptedTargets(folder, number) {
  const file = `metadata/${number}.targets.json`;
  const targets = await readTuf(folder.get(file), "targets", file);
  const extension = targets.signed["x-commun"];
  const names = ["base", "edition", "format", "proposed", "reason", "root"];
  if (!hasCharterFields(extension, names) || extension.format !== "commun-edition/1") {
    throw charterRefusal(`${file}: its x-commun is not that of an edition`);
  }
  const { base, reason } = extension;
  const holds =
    targets.signed.version === number &&
    extension.edition === number &&
    isTufWhole(extension.root, 1) &&
    hasCharterFields(base, ["digest", "edition"]) &&
    isTufWhole(base.edition) &&
    (base.digest === "" || isTufDigest(base.digest)) &&
    typeof reason === "string" &&
    Array.from(reason).length <= ADOPTED_REASON_MOST &&
    isTufTime(extension.proposed);
  if (!holds) throw charterRefusal(`${file}: its number, its root, its base, its reason or its time is none`);
  const isFirst = base.edition === 0 && base.digest === "";
  if (number === 1 && (extension.root !== 1 || !isFirst)) {
    throw charterRefusal(`${file}: the first edition stands on nothing and brings the first root`);
  }
  return targets;
}

// Every root from the first to number `newest`.
async function walkRoots(folder, newest) {
  if (newest > ADOPTED_ROOTS_MOST) throw charterRefusal("more changes of the board than are followed");
  const roots = [];
  while (roots.length < newest) {
    const file = `metadata/${roots.length + 1}.root.json`;
    const root = await readTufRoot(folder.get(file), file);
    if (root.signed.version !== roots.length + 1) throw charterRefusal(`${file} does not follow the root before it`);
    await checkTufQuorum(root.board, root, file);
    if (roots.length > 0) await checkSuccession(roots.at(-1), root, file);
    roots.push(root);
  }
  return roots;
}

// The old quorum has signed the new root, and every old guard where what they guard, or who guards it, changes.
async function checkSuccession(old, root, file) {
  const [before, after] = [old.signed["x-commun"], root.signed["x-commun"]];
  if (after.edition.number <= before.edition.number) throw charterRefusal(`${file} came with no later edition`);
  await checkTufQuorum(old.board, root, file);
  const isSame =
    before.guards.join() === after.guards.join() &&
    Object.keys(before.entrenched).length === Object.keys(after.entrenched).length &&
    Object.keys(before.entrenched).every((name) => before.entrenched[name] === after.entrenched[name]);
  if (isSame) return;
  const signed = await tufSigners(old.board, root);
  if (!before.guards.every((guard) => signed.includes(guard))) {
    throw charterRefusal(`${file}: not every guard of the entrenched clauses has signed it`);
  }
}

async function checkEdition(folder, number, targets, roots) {
  const file = `metadata/${number}.targets.json`;
  const root = roots.at(-1);
  await checkTufQuorum(root.board, targets, file);
  const brought = root.signed["x-commun"].edition;
  const isBrought = brought.number === number && brought.digest === targets.digest;
  if (!isBrought && (number === 1 || brought.number >= number)) {
    throw charterRefusal(`${file}: its root was signed for another edition`);
  }
  await checkBound(folder, "snapshot", "targets.json", targets, root);
  await checkBound(folder, "timestamp", "snapshot.json", targets, root);
  folder.find(`metadata/${number}.assents.json`); // when each signed: told, never relied on
  const charter = await readCharterClauses(await adoptedFiles(folder, targets.signed.targets, file));
  await checkCharterOfRoot(charter, root, file);
  if (targets.signed.expires !== dayAfter(charter.mandate.until)) throw charterRefusal(`${file} does not expire with the mandate`);
  const signed = await tufSigners(root.board, targets);
  return { charter, signed: signed.length, quorum: root.board.threshold };
}

// Snapshot and timestamp: of the edition's number, signed by its quorum, naming it by digest, expiring with it.
async function checkBound(folder, role, named, targets, root) {
  const number = targets.signed.version;
  const file = `metadata/${number}.${role}.json`;
  const metadata = await readTuf(folder.get(file), role, file);
  const { meta, version, expires, "x-commun": extension } = metadata.signed;
  await checkTufQuorum(root.board, metadata, file);
  const holds =
    hasCharterFields(meta, [named]) &&
    hasCharterFields(meta[named], ["version"]) &&
    meta[named].version === number &&
    version === number &&
    expires === targets.signed.expires &&
    hasCharterFields(extension, ["targets"]) &&
    extension.targets === targets.digest;
  if (!holds) throw charterRefusal(`${file} was made for another edition`);
}

async function adoptedFiles(folder, targets, file) {
  if (!isObject(targets)) throw charterRefusal(`${file} names no files`);
  const names = Object.keys(targets);
  if (names.length > ADOPTED_FILES_MOST) throw charterRefusal(`${file} names more files than a charter may have`);
  let total = 0;
  for (const name of names) {
    const { length, hashes } = hasCharterFields(targets[name], ["hashes", "length"]) ? targets[name] : {};
    const isHashed = hasCharterFields(hashes, ["sha256"]) && isTufDigest(hashes.sha256);
    const isFile = isHashed && isCharterFileName(name) && isTufWhole(length) && length <= CHARTER_FILE_BYTES_MOST;
    if (!isFile) throw charterRefusal(`${file} names a file that no charter has`);
    total += length;
  }
  if (total > CHARTER_BYTES_MOST) throw charterRefusal(`${file} names files that are larger than a charter may be`);
  const found = new Map();
  for (const name of names) found.set(name, await adoptedFile(folder, name, targets[name]));
  return found;
}

async function adoptedFile(folder, name, { length, hashes }) {
  const slash = name.lastIndexOf("/") + 1;
  const data = folder.get(`targets/${name.slice(0, slash)}${hashes.sha256}.${name.slice(slash)}`);
  if (data.length !== length || hex(await sha256(data)) !== hashes.sha256) {
    throw charterRefusal(`${name}: its bytes are not those that were signed`);
  }
  return data;
}

// The charter's board and entrenched clauses are those that its root has signed.
async function checkCharterOfRoot(charter, root, file) {
  const { entrenched, guards } = root.signed["x-commun"];
  const ids = new Map();
  for (const member of charter.board.members) ids.set(member.name, (await charterKeyFromText(member.key)).id);
  const isBoard = ids.size === root.board.keys.size && [...ids.values()].every((id) => root.board.keys.has(id));
  if (!isBoard || charter.board.quorum !== root.board.threshold) {
    throw charterRefusal(`${file}: the board is not that of its root`);
  }
  if (!hasCharterFields(entrenched, charter.entrenched.clauses)) {
    throw charterRefusal(`${file}: other clauses are entrenched in its root`);
  }
  for (const name of charter.entrenched.clauses) {
    if ((await charterClauseDigest(charter, name)) !== entrenched[name]) {
      throw charterRefusal(`${file}: an entrenched clause is not as its root has it`);
    }
  }
  const named = charter.entrenched.guards.map((name) => ids.get(name)).sort();
  if (named.join() !== guards.join()) throw charterRefusal(`${file}: the guards are not those of its root`);
}

// The first moment after a mandate's last day.
function dayAfter(day) {
  return new Date(Date.parse(`${day}T00:00:00Z`) + 86400000).toISOString().replace(".000Z", "Z");
}
