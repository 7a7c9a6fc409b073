// The code in pages of Markdown.

/**
 * The fenced blocks of a page, in their order. Words behind the language are members of a block:
 * ```js file=app.mjs gives `{ language: 'js', file: 'app.mjs' }`.
 *
 * @param {string} markdown
 * @returns {{ language: string, code: string, line: number, isTagged: boolean }[]} `line` is that on
 *   which a block begins, from 1 on; `isTagged` says whether it has more members
 */
export function blocksOf(markdown) {
  const found = [];
  let block;
  markdown.split('\n').forEach((text, index) => {
    const fence = /^```(.*)$/.exec(text);
    if (fence && block === undefined) {
      const [language, ...words] = fence[1].split(' ');
      const members = Object.fromEntries(words.map((word) => word.split('=')));
      block = { ...members, language, isTagged: words.length > 0, line: index + 1, lines: [] };
    } else if (fence) {
      const { lines, ...rest } = block;
      found.push({ ...rest, code: `${lines.join('\n')}\n` });
      block = undefined;
    } else {
      block?.lines.push(text);
    }
  });
  if (block !== undefined) throw new Error(`the block of line ${block.line} is not closed`);
  return found;
}
