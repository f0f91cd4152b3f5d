// Every sentence of the page that its code chooses, by what it is said of. The texts are message ids: English, and looked
// up for French in what the page was made with. verify_page.py lists them all, and a test compares.

const say = (text) => ({ text });

export const WORDS = {
  title: say("Check an answer"),
  refusedAt: say("Refused at step %(step)s."),
  exactly: say("In the verifier’s own words"),
  questionWithheld: say("The messages are not in this file."),
  answerWithheld: say("The answer is not in this file."),
  dropped: say("Older messages that did not fit and were left out: %(count)s."),
  own: say("Instructions of whoever asked"),
  answer: say("Answer"),
  checking: say("Checking the proof…"),
  leftOut: say("Further messages that are in the file, were checked and are not shown: %(count)s."),
  empty: say("(empty)"),
  shortened: say("Shown are the first %(count)s characters; all of them were checked."),
  remote: say("none: it runs on another server"),
};

export const VERDICTS = {
  verified: { name: say("Verified"), about: say("Every step holds, and nothing was missing."), sign: "holds" },
  partial: {
    name: say("Verified in part"),
    about: say("Nothing speaks against it, and not everything could be checked. What is missing is named below."),
    sign: "missing",
  },
  refused: { name: say("Refused"), about: null, sign: "refused" },
  failed: {
    name: say("Not checked"),
    about: say("This browser could not do what the check needs. That says nothing about the file: try another browser."),
    sign: "missing",
  },
};

export const OUTCOMES = {
  holds: { words: say("holds"), sign: "holds", className: "step holds" },
  missing: { words: say("incomplete"), sign: "missing", className: "step missing" },
  refused: { words: say("refused"), sign: "refused", className: "step refused" },
  "not reached": { words: say("not reached"), sign: "later", className: "step later" },
};

export const FIELD_NAMES = {
  prompt_token_ids: say("Tokens of the prompt"),
  prompt_messages: say("Messages"),
  answer_token_ids: say("Tokens of the answer"),
  answer_text: say("Text of the answer"),
  logprobs: say("Log-probabilities"),
  stop: say("Stop strings"),
  schema: say("JSON schema"),
};

export const STATES = {
  complete: say("written to its end"),
  stopped: say("stopped by the reader"),
  failed: say("failed"),
  interrupted: say("interrupted: the server was closed"),
};

// How the details of a sentence are told, by their name in it.
export const DETAILS = { field: FIELD_NAMES, state: STATES };

export const ROLES = {
  system: say("What the model was told first"),
  user: say("Question"),
  assistant: say("Earlier answer"),
  text: say("Text to be continued"),
};

export const SCHEMES = {
  caller: say("chosen by the caller"),
  drawn: say("drawn by the server"),
  remote: say("asked of another server"),
  "derived/2 caller": say("derived from a secret that the ledger knew of before, and from a nonce that whoever asked drew"),
  "derived/2 server": say("derived from a secret that the ledger knew of before, and from a nonce that the server drew"),
  "derived/1": say("derived from a secret that the ledger knew of before, and from the answer’s id, which the server draws"),
};

export const LABELS = {
  model: say("Model"),
  modelDigest: say("Digest of the model’s files"),
  edition: say("Edition of the charter"),
  charter: say("Digest of the charter’s first root"),
  state: say("State"),
  began: say("Began"),
  ended: say("Ended"),
  engine: say("Engine"),
  temperature: say("Temperature"),
  topP: say("Top-p"),
  maxTokens: say("Longest answer, in tokens"),
  seed: say("Seed"),
  nonce: say("Nonce"),
  tokens: say("Tokens: prompt + answer"),
  messages: say("Messages: given to the model · left out"),
  sources: say("Sources"),
  tools: say("Tools"),
  persona: say("Tone"),
  software: say("Version of Commun"),
  ledger: say("Ledger"),
  receipt: say("Receipt"),
};

export const REASONS = {
  "too-large": say("The file is longer than a bundle may be."),
  "not-strict-json": say("The file is not JSON that can be read in one way only."),
  "bundle-fields": say("The file is not a bundle of this kind: a field is missing, unknown or cannot be what it is."),
  "not-base64": say("A part of the file is not in its one base64 form."),
  "envelope-form": say("The envelope is not written in its one form."),
  "bad-key": say("A receipt key is none, or is a weak one."),
  "unknown-key": say("The receipt is signed by another key than it names, or than you trust."),
  "wrong-signature": say("The signature does not fit: the statement was changed, or somebody else signed it."),
  "statement-not-canonical": say("The statement is not written in its one form."),
  "statement-type": say("The statement is no receipt of a kind that this page knows."),
  "statement-fields": say("The statement has a field that no receipt has, or lacks one, or goes beyond a bound."),
  "statement-contradiction": say("The statement contradicts itself."),
  "commitment-absent": say("The file shows something that the receipt does not commit to."),
  "commitment-mismatch": say("A text or a list in the file is not the one that was signed: it was changed."),
  "count-mismatch": say("The file shows more or fewer tokens or messages than the receipt counts."),
  "seed-absent": say("The file shows the salt of a seed, and the receipt’s seed has none."),
  "seed-mismatch": say("The seed is not the one that the shown salt and the nonce give."),
  "charter-unknown": say("The receipt names another charter than the one you entered."),
  "charter-other-edition": say("The charter in the file is another edition, or another charter, than the receipt names."),
  "charter-invalid": say("The charter in the file was not adopted by its own rules, or was changed afterwards."),
  "charter-extra-file": say("The charter in the file has a file too many."),
  "charter-expired": say("The board’s mandate had ended, and the receipt does not say so."),
  "model-not-adopted": say("The charter does not name this model."),
  "engine-not-adopted": say("The charter does not allow this engine’s way of computing."),
  "software-not-allowed": say("The charter excludes this version of the software."),
  "outside-charter": say("A setting is outside what the charter allows."),
  "prompt-not-adopted": say("What the model was told first is not the system prompt that the board adopted."),
  "bad-policy": say("The witness policy cannot be read."),
  "proof-form": say("A proof of the ledger is not in its form."),
  "other-ledger": say("A proof is of another ledger than the receipt names."),
  "checkpoint-unsigned": say("The head of the ledger is not signed as the known keys sign."),
  "too-few-witnesses": say("Fewer witnesses have confirmed the head of the ledger than the policy asks for."),
  "not-in-ledger": say("The proof does not show that the receipt is in the ledger."),
  "ledger-time": say("A witness confirmed the head of the ledger before the answer had ended."),
  "epoch-not-in-ledger": say("It is not shown that what the seed comes from was in the ledger before the answer."),
  "secret-not-in-ledger": say("It is not shown that the ledger has published the secret that the seed comes from."),
  "seed-not-derived": say("The published secret gives another seed: this one was chosen."),
  "edition-not-in-ledger": say("It is not shown that the edition was in the ledger before the answer."),
  fork: say("The ledger has two histories, both signed. Keep this file: it is the evidence."),
};
