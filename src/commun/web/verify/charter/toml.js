// TOML 1.0, read strictly: what a charter's files are written in.
//
// - what TOML 1.0 refuses is refused, and what only 1.1 has too: a name given twice in any of its ways, a table opened
//   twice, an array or an inline table that is added to, a control character, an escape that is none, a date that does not
//   exist (the year 0 is none);
// - bounds, so that a hostile text costs little: a value lies in TOML_NESTING lists and inline tables at most, a dotted key
//   has TOML_KEY_PARTS parts, a number, date or truth value TOML_SCALAR characters, a document TOML_ENTRIES entries (tables,
//   keys and elements);
// - lines end with LF or CRLF (which counts as LF, in texts too).
//
// What comes back: tables as Map (any name is one), lists as Array, texts as string, truth values as boolean, whole numbers
// as BigInt, other numbers as TomlDecimal (their text: they are compared exactly), dates and times as TomlTime.
// Refuses with TomlFault; whoever called knows which refusal that is.

const TOML_NESTING = 16;
const TOML_KEY_PARTS = 8;
const TOML_SCALAR = 100;
const TOML_ENTRIES = 20000;

export class TomlFault extends Error {}

// `text`: as written, without the underlines between its digits.
export class TomlDecimal {
  constructor(text) {
    this.text = text;
  }
}

// `kind`: "date", "time" or "moment" (a date with a time).
export class TomlTime {
  constructor(kind, text) {
    this.kind = kind;
    this.text = text;
  }
}

export function readToml(text) {
  return new TomlReader(text.replaceAll("\r\n", "\n")).document();
}

const TOML_SPACE = /[ \t]*/y;
const TOML_COMMENT = /#[^\n]*/y;
const TOML_BARE = /[A-Za-z0-9_-]+/y;
const TOML_CONTROL = /[\u0000-\u0008\u000a-\u001f\u007f]/;
const TOML_CONTROL_BUT_NEWLINE = /[\u0000-\u0008\u000b-\u001f\u007f]/;
const TOML_TRUTH = /true|false/y;
const TOML_CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]+)?";
const TOML_TIME = new RegExp(TOML_CLOCK, "y");
const TOML_DATE = new RegExp(
  `([0-9]{4})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])([Tt ]${TOML_CLOCK}(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?)?`,
  "y",
);
const TOML_BASED = /0(?:x[0-9A-Fa-f](?:_?[0-9A-Fa-f])*|b[01](?:_?[01])*|o[0-7](?:_?[0-7])*)/y;
const TOML_NUMBER = /[+-]?(?:0|[1-9](?:_?[0-9])*)(\.[0-9](?:_?[0-9])*)?([eE][+-]?[0-9](?:_?[0-9])*)?/y;
const TOML_NO_NUMBER = /[+-]?(?:inf|nan)/y;
const TOML_ESCAPES = new Map([
  ["b", "\b"],
  ["t", "\t"],
  ["n", "\n"],
  ["f", "\f"],
  ["r", "\r"],
  ['"', '"'],
  ["\\", "\\"],
]);
const TOML_PLAIN = /[^"\\\u0000-\u0008\u000a-\u001f\u007f]+/y;
const TOML_PLAIN_LINES = /[^"\\\u0000-\u0008\u000b-\u001f\u007f]+/y;
const TOML_LINE_END = /\\[ \t]*\n[ \t\n]*/y;
const TOML_CODE = /u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})/y;

// How a table or a list came to be decides what may be added to it:
// - `closed`: inline tables and written lists, nothing;
// - `opened`: tables with a header of their own, and those that dotted keys of an earlier section made, no second header
//   and no dotted key from outside;
// - `repeated`: lists of [[tables]], another one.
class TomlReader {
  constructor(text) {
    this.text = text;
    this.at = 0;
    this.entries = 0;
    this.closed = new Set();
    this.opened = new Set();
    this.repeated = new Set();
    this.pending = new Set(); // tables that dotted keys made in this section
    this.root = new Map();
  }

  document() {
    let table = this.root;
    for (;;) {
      this.skip(TOML_SPACE);
      if (this.at === this.text.length) return this.root;
      const first = this.text[this.at];
      if (first === "[") table = this.header();
      else if (first !== "\n" && first !== "#") this.pair(table, 0, { inline: false });
      this.skip(TOML_SPACE);
      this.comment();
      if (this.at === this.text.length) return this.root;
      this.expect("\n");
    }
  }

  header() {
    for (const table of this.pending) this.opened.add(table);
    this.pending.clear();
    const isRepeated = this.text.startsWith("[[", this.at);
    this.at += isRepeated ? 2 : 1;
    const parts = this.key();
    this.expect(isRepeated ? "]]" : "]");
    const name = parts.pop();
    let parent = this.root;
    for (const part of parts) parent = this.into(parent, part);
    return isRepeated ? this.another(parent, name) : this.open(parent, name);
  }

  // A step of a header's path: the table there, or the last one of the list there.
  into(table, name) {
    let found = table.get(name);
    if (found === undefined) return this.put(table, name, new Map());
    if (this.closed.has(found)) throw this.fault("an inline table or a list is added to");
    if (this.repeated.has(found)) found = found.at(-1);
    if (!(found instanceof Map)) throw this.fault("a value stands where a table should");
    return found;
  }

  open(parent, name) {
    const found = parent.get(name);
    if (found !== undefined && (!(found instanceof Map) || this.closed.has(found) || this.opened.has(found))) {
      throw this.fault("a table is opened twice, or a value stands where it should");
    }
    const table = found ?? this.put(parent, name, new Map());
    this.opened.add(table);
    return table;
  }

  another(parent, name) {
    let list = parent.get(name);
    if (list === undefined) {
      list = this.put(parent, name, []);
      this.repeated.add(list);
    }
    if (!this.repeated.has(list)) throw this.fault("something else stands where a list of tables should");
    const table = new Map();
    this.count();
    list.push(table);
    return table;
  }

  pair(table, depth, { inline }) {
    const parts = this.key();
    this.expect("=");
    this.skip(TOML_SPACE);
    const value = this.value(depth);
    const name = parts.pop();
    let parent = table;
    for (const part of parts) parent = this.dotted(parent, part, { inline });
    if (parent.has(name)) throw this.fault("a name is given twice");
    this.put(parent, name, value);
  }

  dotted(table, name, { inline }) {
    const found = table.get(name) ?? this.put(table, name, new Map());
    if (!(found instanceof Map) || this.closed.has(found) || this.opened.has(found)) {
      throw this.fault("a dotted key adds to what is finished");
    }
    if (!inline) this.pending.add(found);
    return found;
  }

  put(table, name, value) {
    this.count();
    table.set(name, value);
    return value;
  }

  count() {
    this.entries += 1;
    if (this.entries > TOML_ENTRIES) throw this.fault("too many entries");
  }

  key() {
    const parts = [];
    for (;;) {
      this.skip(TOML_SPACE);
      parts.push(this.part());
      if (parts.length > TOML_KEY_PARTS) throw this.fault("a key of too many parts");
      this.skip(TOML_SPACE);
      if (this.text[this.at] !== ".") return parts;
      this.at += 1;
    }
  }

  part() {
    const first = this.text[this.at];
    if (first === '"') return this.basic();
    if (first === "'") return this.literal();
    const bare = this.take(TOML_BARE);
    if (bare === null) throw this.fault("no key");
    return bare[0];
  }

  value(depth) {
    if (depth > TOML_NESTING) throw this.fault("nested too deeply");
    switch (this.text[this.at]) {
      case '"':
        return this.text.startsWith('"""', this.at) ? this.basicLines() : this.basic();
      case "'":
        return this.text.startsWith("'''", this.at) ? this.literalLines() : this.literal();
      case "[":
        return this.list(depth + 1);
      case "{":
        return this.inlineTable(depth + 1);
      default:
        return this.scalar();
    }
  }

  list(depth) {
    const list = [];
    this.closed.add(list);
    this.at += 1;
    this.gap();
    while (this.text[this.at] !== "]") {
      this.count();
      list.push(this.value(depth));
      this.gap();
      if (this.text[this.at] !== ",") break;
      this.at += 1;
      this.gap();
    }
    this.expect("]");
    return list;
  }

  inlineTable(depth) {
    const table = new Map();
    this.at += 1;
    this.skip(TOML_SPACE);
    if (this.text[this.at] !== "}") {
      for (;;) {
        this.pair(table, depth, { inline: true });
        this.skip(TOML_SPACE);
        if (this.text[this.at] !== ",") break;
        this.at += 1;
      }
    }
    this.expect("}");
    this.closed.add(table);
    return table;
  }

  scalar() {
    const start = this.at;
    const value = this.truth() ?? this.time() ?? this.number();
    if (this.at - start > TOML_SCALAR) throw this.fault("a number that is too long");
    return value;
  }

  truth() {
    const found = this.take(TOML_TRUTH);
    return found && found[0] === "true";
  }

  time() {
    const date = this.take(TOML_DATE);
    if (date === null) {
      const time = this.take(TOML_TIME);
      return time && new TomlTime("time", time[0]);
    }
    if (!tomlIsDay(Number(date[1]), Number(date[2]), Number(date[3]))) throw this.fault("a date that does not exist");
    return new TomlTime(date[4] === undefined ? "date" : "moment", date[0]);
  }

  number() {
    const based = this.take(TOML_BASED);
    if (based !== null) return BigInt(based[0].replaceAll("_", ""));
    const found = this.take(TOML_NUMBER) ?? this.take(TOML_NO_NUMBER);
    if (found === null) throw this.fault("no value");
    const text = found[0].replaceAll("_", "");
    if (found[1] !== undefined || found[2] !== undefined || /[fa]/.test(text)) return new TomlDecimal(text);
    if (text.length > TOML_SCALAR) throw this.fault("a number that is too long");
    return BigInt(text.replace("+", ""));
  }

  literal() {
    const end = this.text.indexOf("'", this.at + 1);
    const text = this.text.slice(this.at + 1, end);
    if (end < 0 || TOML_CONTROL.test(text)) throw this.fault("a text that does not end on its line");
    this.at = end + 1;
    return text;
  }

  literalLines() {
    const start = this.at + (this.text[this.at + 3] === "\n" ? 4 : 3);
    const end = this.text.indexOf("'''", start);
    if (end < 0) throw this.fault("a text that does not end");
    const text = this.text.slice(start, end);
    if (TOML_CONTROL_BUT_NEWLINE.test(text)) throw this.fault("a control character");
    this.at = end + 3;
    return text + this.quotesAtEnd("'");
  }

  basic() {
    this.at += 1;
    const parts = [];
    for (;;) {
      const plain = this.take(TOML_PLAIN);
      if (plain !== null) parts.push(plain[0]);
      const next = this.text[this.at];
      this.at += 1;
      if (next === '"') return parts.join("");
      if (next !== "\\") throw this.fault("a text that does not end on its line");
      parts.push(this.escape());
    }
  }

  basicLines() {
    this.at += this.text[this.at + 3] === "\n" ? 4 : 3;
    const parts = [];
    for (;;) {
      const plain = this.take(TOML_PLAIN_LINES);
      if (plain !== null) parts.push(plain[0]);
      if (this.text.startsWith('"""', this.at)) break;
      if (this.take(TOML_LINE_END) !== null) continue;
      const next = this.text[this.at];
      this.at += 1;
      if (next === '"') parts.push('"');
      else if (next === "\\") parts.push(this.escape());
      else throw this.fault("a control character, or a text that does not end");
    }
    this.at += 3;
    parts.push(this.quotesAtEnd('"'));
    return parts.join("");
  }

  // Up to two more quotation marks belong to the text that three have ended.
  quotesAtEnd(mark) {
    let found = "";
    while (found.length < 2 && this.text[this.at] === mark) {
      found += mark;
      this.at += 1;
    }
    return found;
  }

  escape() {
    const code = this.take(TOML_CODE);
    if (code !== null) {
      const point = parseInt(code[1] ?? code[2], 16);
      if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) throw this.fault("an escape of no character");
      return String.fromCodePoint(point);
    }
    const plain = TOML_ESCAPES.get(this.text[this.at]);
    if (plain === undefined) throw this.fault("an escape that is none");
    this.at += 1;
    return plain;
  }

  // Spaces, line ends and remarks.
  gap() {
    for (;;) {
      this.skip(TOML_SPACE);
      this.comment();
      if (this.text[this.at] !== "\n") return;
      this.at += 1;
    }
  }

  comment() {
    const found = this.take(TOML_COMMENT);
    if (found !== null && TOML_CONTROL.test(found[0])) throw this.fault("a control character");
  }

  skip(pattern) {
    this.take(pattern);
  }

  take(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found !== null) this.at = pattern.lastIndex;
    return found;
  }

  expect(mark) {
    if (!this.text.startsWith(mark, this.at)) throw this.fault(`“${mark === "\n" ? "end of line" : mark}” expected`);
    this.at += mark.length;
  }

  fault(what) {
    return new TomlFault(`${what} (line ${this.text.slice(0, this.at).split("\n").length})`);
  }
}

export function tomlIsDay(year, month, day) {
  if (year < 1 || month < 1 || month > 12 || day < 1) return false;
  const isLeap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  return day <= [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1];
}
