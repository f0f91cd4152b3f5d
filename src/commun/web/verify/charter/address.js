// The address of another server, as a charter may name it: http or https, a host, no name or password in it.
//
// Visible ASCII without space " < > \ ^ ` { | } @; a scheme in any case; then a host: characters without / ? # : [ ], or an
// IPv6 address in brackets; then, perhaps, a colon and a port from 1 to 65535; then nothing, or / ? # and anything.

const ADDRESS_FORM = /^https?:\/\/(?:[^/?#:[\]]+|\[([0-9A-Fa-f:.]+)\])(?::([0-9]*))?(?:[/?#].*)?$/i;

export function isCharterAddress(url) {
  if (!/^[!-~]+$/.test(url) || /["<>\\^`{|}@]/.test(url)) return false;
  const found = ADDRESS_FORM.exec(url);
  if (found === null || (found[1] !== undefined && !isAddressV6(found[1]))) return false;
  return found[2] === undefined || found[2] === "" || (Number(found[2]) >= 1 && Number(found[2]) <= 65535);
}

// RFC 4291, section 2.2: eight groups, of which `::` may stand for one or more, and four decimal bytes for the last two.
function isAddressV6(text) {
  const dotted = /^(.*:)([0-9]+(?:\.[0-9]+){3})$/.exec(text);
  if (dotted !== null && !dotted[2].split(".").every((part) => /^(?:0|[1-9][0-9]{0,2})$/.test(part) && Number(part) < 256)) {
    return false;
  }
  const plain = dotted === null ? text : `${dotted[1]}0:0`;
  const halves = plain.split("::");
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === "" ? [] : half.split(":")));
  const isFull = halves.length === 1 ? groups.length === 8 : groups.length < 8;
  return isFull && groups.every((group) => /^[0-9A-Fa-f]{1,4}$/.test(group));
}
