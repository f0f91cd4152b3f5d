// Decimal numbers, compared exactly: as whole numbers of a unit, never as binary fractions.
//
// A charter's number has CHARTER_PLACES decimal places at most; a receipt's has 400 (docs/spec/receipt.md). Nothing is rounded.

const CHARTER_PLACES = 6;
const DECIMAL_PLACES = 400;
// Of a zero with an exponent, what a reader of decimals in C takes; a zero beyond it is no number there.
const ZERO_EXPONENT_LEAST = -1999999999999999997n;
const ZERO_EXPONENT_MOST = 999999999999999999n;
const DECIMAL_FORM = /^([+-]?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/;

// Millionths of a number as TOML writes it, or null: it is no number, or finer, or beyond all bounds that a charter has.
export function decimalMillionths(text) {
  const found = DECIMAL_FORM.exec(text);
  if (found === null) return null;
  const [, sign, whole, fraction = "", power = "0"] = found;
  let exponent = BigInt(power.replace("+", "")) - BigInt(fraction.length);
  let digits = BigInt(whole + fraction);
  if (digits === 0n) return exponent < ZERO_EXPONENT_LEAST || exponent > ZERO_EXPONENT_MOST ? null : 0n;
  for (; digits % 10n === 0n; digits /= 10n) exponent += 1n;
  if (exponent < -CHARTER_PLACES || exponent > 20) return null;
  const millionths = digits * 10n ** (exponent + BigInt(CHARTER_PLACES));
  return sign === "-" ? -millionths : millionths;
}

// Without exponent and without idle zeros.
export function decimalText(millionths) {
  const digits = String(millionths).padStart(CHARTER_PLACES + 1, "0");
  const whole = digits.slice(0, -CHARTER_PLACES);
  const fraction = digits.slice(-CHARTER_PLACES).replace(/0+$/, "");
  return fraction === "" ? whole : `${whole}.${fraction}`;
}

// `text`: in the form of a receipt's decimals, which a charter's are too.
export function isDecimalWithin(text, least, most) {
  const value = decimalUnits(text);
  return decimalUnits(least) <= value && value <= decimalUnits(most);
}

function decimalUnits(text) {
  const [whole, fraction = ""] = text.split(".");
  return BigInt(whole + fraction.padEnd(DECIMAL_PLACES, "0"));
}
