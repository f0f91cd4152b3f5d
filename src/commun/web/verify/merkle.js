// The ledger's tree (RFC 6962, RFC 9162 section 2.1.3.2): leaves, and where a proof leads. Sizes and indexes are BigInt.

import { concat, equal, sha256 } from "./bytes.js";

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);
export const MOST = 2n ** 63n - 1n;

export function leafHash(entry) {
  return sha256(concat(LEAF, entry));
}

// Whether `hashes`, of 32 bytes each, lead from the leaf at `index` to the root of the tree of `size` leaves.
export async function isIncluded(leaf, index, size, hashes, root) {
  if (index >= size) return false;
  let place = index;
  let last = size - 1n;
  let hash = leaf;
  for (const beside of hashes) {
    if (last === 0n) return false;
    if (place % 2n === 1n || place === last) {
      hash = await sha256(concat(NODE, beside, hash));
      // A last node without a sibling goes up as it is.
      while (place % 2n === 0n && place !== 0n) {
        place /= 2n;
        last /= 2n;
      }
    } else {
      hash = await sha256(concat(NODE, hash, beside));
    }
    place /= 2n;
    last /= 2n;
  }
  return last === 0n && equal(hash, root);
}
