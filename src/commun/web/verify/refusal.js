// Why a bundle is refused: a name out of docs/spec/receipt.md, which is the same for every verifier, and words beside it,
// which are free. Nothing else may leave a step: what is thrown otherwise is a mistake of ours, and is shown as one.

export class Refusal extends Error {
  constructor(reason, detail) {
    super(`${reason}: ${detail}`);
    this.name = "Refusal";
    this.reason = reason;
    this.detail = detail;
  }
}
