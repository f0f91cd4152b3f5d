// JSON that has one meaning, read without recursion.
//
// Refused (NotStrict): a name twice in one object, compared after escapes are read; a fraction or an exponent; a whole
// number of more than 16 digits; half a surrogate pair; a control character in a text; NaN and Infinity; anything after the
// value; more than MOST_LEVELS of lists and objects in each other; what is not UTF-8, and a byte order mark.
//
// What comes back: objects without a prototype (so that "__proto__" is a name like another), arrays, strings, booleans,
// null, and whole numbers as Number where that is exact (Number.isSafeInteger), else as BigInt. -0 is 0.

import { BadWriting, fromUtf8 } from "./bytes.js";

export const MOST_LEVELS = 512;
const MOST_DIGITS = 16;

export class NotStrict extends Error {}

// `source`: bytes, or a text that was bytes once.
export function readObject(source) {
  const value = read(source);
  if (!isObject(value)) throw new NotStrict("not an object");
  return value;
}

export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

// Whether `value` is an object with these fields and no other.
export function hasFields(value, names) {
  return isObject(value) && Object.keys(value).length === names.length && names.every((name) => Object.hasOwn(value, name));
}

export function read(source) {
  let text = source;
  if (typeof source !== "string") {
    try {
      text = fromUtf8(source);
    } catch (error) {
      if (error instanceof BadWriting) throw new NotStrict(error.message);
      throw error;
    }
  }
  return new Reader(text).document();
}

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(0|[1-9][0-9]*)([.eE])?/y;
const WORD = /true|false|null/y;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const WORDS = { true: true, false: false, null: null };
const ESCAPES = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

class Reader {
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  // One loop: `open` holds the lists and objects that have not ended yet, the innermost last.
  document() {
    const open = [];
    for (;;) {
      let value = this.begin();
      if (value === OPENED_LIST || value === OPENED_OBJECT) {
        const level = { into: value === OPENED_LIST ? [] : Object.create(null), name: null, list: value === OPENED_LIST };
        if (open.length === MOST_LEVELS) throw new NotStrict(`more than ${MOST_LEVELS} levels`);
        if (!this.takes(level.list ? "]" : "}")) {
          if (!level.list) level.name = this.name(level.into);
          open.push(level);
          continue;
        }
        value = level.into;
      }
      for (;;) {
        const level = open.at(-1);
        if (level === undefined) return this.end(value);
        if (level.list) level.into.push(value);
        else level.into[level.name] = value;
        if (this.takes(",")) {
          if (!level.list) level.name = this.name(level.into);
          break;
        }
        if (!this.takes(level.list ? "]" : "}")) throw this.mistake();
        value = level.into;
        open.pop();
      }
    }
  }

  begin() {
    this.match(SPACE);
    const first = this.text[this.at];
    if (first === "[" || first === "{") {
      this.at++;
      return first === "[" ? OPENED_LIST : OPENED_OBJECT;
    }
    if (first === '"') return this.string();
    const word = this.match(WORD);
    if (word) return WORDS[word[0]];
    return this.number();
  }

  end(value) {
    this.match(SPACE);
    if (this.at !== this.text.length) throw new NotStrict("something follows the value");
    return value;
  }

  name(object) {
    this.match(SPACE);
    if (this.text[this.at] !== '"') throw this.mistake();
    const name = this.string();
    if (name in object) throw new NotStrict("a name twice in one object");
    if (!this.takes(":")) throw this.mistake();
    return name;
  }

  number() {
    const found = this.match(NUMBER);
    if (!found) throw this.mistake();
    if (found[2]) throw new NotStrict("a fraction or an exponent");
    if (found[1].length > MOST_DIGITS) throw new NotStrict(`a number of more than ${MOST_DIGITS} digits`);
    const value = Number(found[0]);
    if (value === 0) return 0;
    return Number.isSafeInteger(value) ? value : BigInt(found[0]);
  }

  string() {
    this.at++;
    let value = "";
    for (;;) {
      value += this.match(PLAIN)[0];
      const next = this.text[this.at++];
      if (next === '"') break;
      if (next !== "\\") throw this.mistake();
      value += this.escape();
    }
    if (/\p{Surrogate}/u.test(value)) throw new NotStrict("half a surrogate pair");
    return value;
  }

  escape() {
    const letter = this.text[this.at++];
    if (letter !== "u") {
      if (letter === undefined || !Object.hasOwn(ESCAPES, letter)) throw this.mistake();
      return ESCAPES[letter];
    }
    const digits = this.text.slice(this.at, this.at + 4);
    if (!/^[0-9A-Fa-f]{4}$/.test(digits)) throw this.mistake();
    this.at += 4;
    return String.fromCharCode(parseInt(digits, 16));
  }

  takes(mark) {
    this.match(SPACE);
    if (this.text[this.at] !== mark) return false;
    this.at++;
    return true;
  }

  match(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found) this.at = pattern.lastIndex;
    return found;
  }

  mistake() {
    return new NotStrict(`no JSON at character ${this.at}`);
  }
}

const OPENED_LIST = Symbol("[");
const OPENED_OBJECT = Symbol("{");
