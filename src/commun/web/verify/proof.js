// Proofs of logging (C2SP tlog-proof): index, hashes and the checkpoint, in one text. The `extra` line is signed by nobody
// and is only looked at for its form.

import { BadForm, canonicalBase64, readCheckpoint, readHash, readNote, readNumber } from "./note.js";

const HEADER = "c2sp.org/tlog-proof@v1";
const MOST_HASHES = 63;
const MOST_EXTRA_BYTES = 65536;

// Gives { index, hashes, note, checkpoint }. Raises BadForm.
export function readProof(text) {
  const cut = text.indexOf("\n\n");
  if (cut < 0) throw new BadForm("no checkpoint");
  const lines = text.slice(0, cut).split("\n");
  if (lines.shift() !== HEADER) throw new BadForm("another first line than a proof has");
  if (lines[0]?.startsWith("extra ")) checkExtra(lines.shift().slice("extra ".length));
  const index = lines.shift();
  if (!index?.startsWith("index ")) throw new BadForm("no index");
  if (lines.length > MOST_HASHES) throw new BadForm("more hashes than any tree asks for");
  const note = readNote(text.slice(cut + 2));
  const number = readNumber(index.slice("index ".length), "the index");
  return { index: number, hashes: lines.map(readHash), note, checkpoint: readCheckpoint(note.text) };
}

function checkExtra(text) {
  const { length } = canonicalBase64(text, "the extra line");
  if (length === 0 || length > MOST_EXTRA_BYTES) throw new BadForm("an extra line without data, or with too much");
}
