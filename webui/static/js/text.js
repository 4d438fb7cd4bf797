// What others see of a name. The hub has the same rule (signal/text.go).

export const NAME_MAX = 64; // code points of a name, as the hub has it

const MARKS = 4; // that one letter may carry: Hebrew with points and accents has four

const SPACE = /^\s$/u;
const JOINER = /^[\u200c\u200d]$/u;
const VARIATION = /^[\ufe00-\ufe0f]$/u;
const MARK = /^[\p{Mn}\p{Me}]$/u;
// Controls, halves of characters, what renderers ignore, and a pattern without any dots.
const BLANK = /^[\p{Cc}\p{Cs}\p{Cf}\p{Default_Ignorable_Code_Point}\u2028\u2029\u2800]$/u;

/**
 * A name without what is invisible, marks that stand on nothing or heap up, and spaces at its ends;
 * several spaces become one; in the form NFC. What joins the parts of an emoji or of a Persian word
 * stays.
 */
export function visible(text) {
  // What is taken out of the middle may leave neighbors that NFC joins, and one mark less to count.
  for (;;) {
    const seen = seenOnce(text);
    if (seen === text) return seen;
    text = seen;
  }
}

function seenOnce(text) {
  const seen = [];
  const unjoin = () => JOINER.test(seen.at(-1)) && seen.pop();
  let marks = 0;
  // In NFC before, too: what is typed in several ways carries as many marks.
  for (const character of text.normalize('NFC')) {
    const last = seen.at(-1) ?? '';
    if (SPACE.test(character) || character === '\x85') {
      unjoin();
      if (seen.at(-1) !== ' ') seen.push(' ');
      marks = MARKS;
    } else if (JOINER.test(character) || VARIATION.test(character)) {
      const joins = last >= '\u0590' && !JOINER.test(last);
      if (joins && !(VARIATION.test(character) && VARIATION.test(last))) seen.push(character);
    } else if (BLANK.test(character)) {
      continue;
    } else if (MARK.test(character)) {
      if (++marks <= MARKS && seen.length > 0) seen.push(character);
    } else {
      seen.push(character);
      marks = 0;
    }
  }
  unjoin();
  return seen.join('').replace(/^ +| +$/g, '').normalize('NFC');
}
