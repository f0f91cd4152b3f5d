// One file, examined: what verify.js says of it, and of what was disclosed only as much as a page can show. A browser
// stands still over some millions of characters, or some tens of thousands of elements.

import { verify } from "./verify.js";

export const MOST_SHOWN = 200000; // characters of one text
const MOST_SHOWN_ALL = 1000000; // of all messages together
const MOST_MESSAGES = 500;
const MOST_ROLE = 200;

// verify.js's report without `disclosed` and `added`. `said`, where it was read: { messages: [{ role, content, isShort, isOwn:
// whether whoever asked had it told beside the charter's words }] or null, more: how many messages are left out, answer:
// { content, isShort } or null }.
export async function examine(data, trust) {
  const { disclosed, added, ...report } = await verify(data, trust);
  return { ...report, said: disclosed && saidIn(disclosed, added) };
}

function saidIn(disclosed, added) {
  const answer = disclosed.get("answer_text")?.value;
  const messages = apart(disclosed.get("prompt_messages")?.value ?? null, added);
  let left = MOST_SHOWN_ALL;
  const shown = messages?.slice(0, MOST_MESSAGES).filter(({ content }) => (left -= Math.min(content.length, MOST_SHOWN)) >= 0) ?? null;
  return {
    messages: shown && shown.map(({ role, content, isOwn = false }) => ({ role: role.slice(0, MOST_ROLE), isOwn, ...short(content) })),
    more: messages === null ? 0 : messages.length - shown.length,
    answer: answer === undefined ? null : short(answer),
  };
}

// What whoever asked has added to the system message, as a message of its own.
function apart(messages, added) {
  if (messages === null || added === "") return messages;
  const [first, ...others] = messages;
  const adopted = first.content.slice(0, -added.length).replace(/\n\n$/, "");
  return [{ ...first, content: adopted }, { role: first.role, content: added, isOwn: true }, ...others];
}

function short(text) {
  return { content: text.slice(0, MOST_SHOWN), isShort: text.length > MOST_SHOWN };
}
