// The part of docs/api.md between its two marks: classes, functions, options, members and their
// types, as the declarations have them. A part of `npm run generate`.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './process.mjs';

const PAGE = 'docs/api.md';
const BEGIN = '<!-- From here on written by `npm run generate`. -->';
const END = '<!-- Up to here. -->';
const FIRST = 'v0.1.0';
const WIDTH = 100;
/** Types of what users write: what is optional in them has a default. */
const OPTIONS = /Options$|Limits$|^(Preopen|GuestSocket|Clock|WASI|Pool|compile|run\w*)$/;
const MAY_BE_ABSENT = ' It may be absent.';
/** The text for an optional member of the declaration that is being written. */
let absent = MAY_BE_ABSENT;
/** The entries of the package that have declarations here, and what they are required by. */
const ENTRIES = {
  'wasi-rs': 'index.d.ts',
  'wasi-rs/register': 'register.d.ts',
  'wasi-rs/threads': 'threads.d.ts',
  'wasi-rs/p2': 'p2.d.ts',
};
/** The name of an object of a class or interface in headings; an error is `error`. */
const RECEIVERS = {
  WASI: 'wasi',
  ServedFileSystem: 'fs',
  NodeReadable: 'readable',
  NodeWritable: 'writable',
  WebReadable: 'stream',
  WebWritable: 'stream',
};

/** @returns {string} the page as it should be */
export function apiPage() {
  const page = readFileSync(join(root, PAGE), 'utf8');
  const [before, rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error(`${PAGE} has no marks`);
  const parts = Object.entries(ENTRIES).map(([entry, file]) => {
    return entryPart(entry, readFileSync(join(root, file), 'utf8'));
  });
  return `${before}${BEGIN}\n\n${parts.join('\n')}\n${END}${after}`;
}

function entryPart(entry, text) {
  const head = wrap(docOf(/^\/\*\*[^]*?\*\//.exec(text)?.[0] ?? '').text);
  const parts = declarationsIn(text).map(declarationPart);
  return [`## Module \`${entry}\`\n`, ...(head === '' ? [] : [`${head}\n`]), ...parts].join('\n');
}

/** @returns {object[]} what a module exports; overloads are one, with all their signatures */
function declarationsIn(text) {
  const found = new Map();
  const pattern = /^export (?:declare )?(class|interface|type|function) (\w+)/gm;
  for (const match of text.matchAll(pattern)) {
    const [whole, kind, name] = match;
    const doc = docOf(commentBefore(text, match.index));
    const start = match.index + whole.length;
    const end = kind === 'class' || kind === 'interface' ? bodyEnd(text, start) : stop(text, start);
    const source = text.slice(start, end);
    const before = found.get(name);
    if (before) before.signatures.push(source);
    else found.set(name, { kind, name, doc, source, signatures: [source] });
  }
  return [...found.values()];
}

function declarationPart({ kind, name, doc, source, signatures }) {
  const lines = [];
  absent = OPTIONS.test(name) ? 'none' : MAY_BE_ABSENT;
  if (kind === 'function') {
    lines.push(...callable('###', (params) => `${name}(${params})`, signatures, doc));
  } else {
    lines.push(`### ${title(kind)}: \`${name}\``, '', `Added in: ${doc.since ?? FIRST}`, '');
    const parent = /^[^{]*?\bextends\s+([^{]*?)\s*\{/.exec(source)?.[1];
    if (kind !== 'type' && parent) lines.push(wrap(inheritance(parent)), '');
    if (doc.text) lines.push(wrap(doc.text), '');
    if (kind === 'type') lines.push(...typeLines(source));
    else lines.push(...memberLines(name, kind, source));
  }
  return `${lines.join('\n').trimEnd()}\n`;
}

/** Parents in words: a name, `Omit<A, 'b' | 'c'>`, or several of these. */
function inheritance(parents) {
  const parts = parents.split(/,(?![^<]*>)/).map((parent) => {
    const [, whole, left] = /^Omit<\s*(\w+),([^]*)>$/.exec(parent.trim()) ?? [];
    if (whole === undefined) return `all of ${code(parent)}`;
    const names = Array.from(left.matchAll(/'(\w+)'/g), ([, name]) => `\`${name}\``);
    // A name that another module of the package exports as well.
    const named = whole.replace(/^(Preview1)?(.*)$/, (_, other, name) => {
      return other === undefined ? `\`${name}\`` : `\`${name}\` of \`wasi-rs\``;
    });
    return `all of ${named} but ${names.join(', ')}, which are absent here or have other types`;
  });
  return `Has ${parts.join('; and ')}.`;
}

const title = (kind) => ({ class: 'Class', interface: 'Object', type: 'Type' })[kind];

/** A type: what it is in one line, or the objects that it may be. */
function typeLines(source) {
  const type = source.replace(/^(<[^]*?>)?\s*=/, '').replace(/;\s*$/, '');
  const bodies = objectsIn(type);
  if (bodies.length === 0) return [wrap(`Is ${code(type)}.`), ''];
  const lines = [];
  const plain = unionOf(type).filter((part) => !part.includes('{'));
  // An intersection (`&`) has the members of all of its parts.
  const isAll = isIntersection(type);
  if (plain.length > 0) {
    const all = `all of ${plain.map((part) => code(part)).join(' and ')}`;
    lines.push(wrap(`- ${isAll ? all : code(plain.join(' | '))}`, 2));
  }
  for (const body of new Map(bodies.map((each) => [flat(each), each])).values()) {
    lines.push(isAll ? '- and:' : '- an object:');
    lines.push(...membersIn(body).flatMap((member) => bullet(member, 2)));
  }
  return [...lines, ''];
}

function memberLines(name, kind, source) {
  const members = membersIn(bodyOf(source));
  if (kind === 'interface' && members.every(({ params }) => params === undefined)) {
    return [...members.flatMap((member) => bullet(member, 0)), ''];
  }
  const small = name.endsWith('Error') ? 'error' : name[0].toLowerCase() + name.slice(1);
  const receiver = RECEIVERS[name] ?? small;
  return members.flatMap((member) => {
    if (member.params === undefined) {
      const head = [
        `#### \`${receiver}.${member.name}\``,
        '',
        `Added in: ${member.doc.since ?? FIRST}`,
        '',
      ];
      return [...head, ...bullet({ ...member, name: 'Is' }, 0, true), ''];
    }
    const title = (params) => {
      if (member.name === 'constructor') return `new ${name}(${params})`;
      if (member.name.startsWith('[')) return `${receiver}${member.name}(${params})`;
      return `${receiver}.${member.name}(${params})`;
    };
    return callable('####', title, member.signatures, member.doc);
  });
}

/** The heading, parameters, result, errors and description of a function or method. */
function callable(level, title, signatures, doc) {
  const all = signatures.map(paramsOf);
  const params = [];
  for (const list of all) {
    for (const param of list) {
      const known = params.find(({ name }) => name === param.name);
      // Of overloads, what narrows an option stands with the option.
      const type = param.type.replace(/^\s*(\w+) & \{[^{}]*\}\s*$/, '$1').trim();
      if (known === undefined) params.push({ ...param, types: [type] });
      else if (!known.types.includes(type)) known.types.push(type);
      if (known !== undefined && param.optional) known.optional = true;
    }
  }
  const shown = params
    .map(({ name, optional, rest }) => (rest ? `[...${name}]` : optional ? `[${name}]` : name))
    .join(', ');
  const lines = [`${level} \`${title(shown)}\``, '', `Added in: ${doc.since ?? FIRST}`, ''];
  for (const { name, types } of params) {
    const about = doc.params[name] ?? '';
    const text = about === '' ? '' : capital(about);
    lines.push(...bullet({ name, type: types.join(' | '), doc: { text } }, 0));
  }
  const results = [...new Set(signatures.map(resultOf))].filter((type) => type !== '');
  if (results.length > 0 && results.join() !== 'void') {
    const name = results.join(' | ');
    lines.push(
      wrap(`- Returns: ${code(name, true)}${doc.returns ? `. ${capital(doc.returns)}` : ''}`, 2),
    );
    for (const body of results.flatMap(objectsIn)) {
      lines.push(...membersIn(body).flatMap((member) => bullet(member, 2)));
    }
  }
  for (const text of doc.throws) lines.push(wrap(`- Throws: ${text}`, 2));
  if (lines.at(-1) !== '') lines.push('');
  if (doc.text) lines.push(wrap(doc.text), '');
  return lines;
}

/** A member as an item of a list, with the members of its type below it. */
function bullet({ name, type, signatures, optional, doc }, indent, isValue = false) {
  if (type === undefined) return bullet({ name, type: signatures[0], doc }, indent);
  const bodies = objectsIn(type);
  const plain = unionOf(type).filter((part) => !part.includes('{'));
  const object = /\}\s*\[\]\s*$/.test(type) ? 'object[]' : 'object';
  const shown = [...plain, ...(bodies.length > 0 ? [object] : [])];
  if (isValue && /\| undefined\b/.test(type)) shown.push('undefined');
  const kinds = shown.length > 0 ? shown.join(' | ') : 'undefined';
  const value = doc.default ?? (optional && !isValue ? absent : undefined);
  const end =
    value === undefined ? '' : value === MAY_BE_ABSENT ? value : ` **Default:** ${codeIf(value)}.`;
  const label = isValue ? '- Is' : `- \`${name}\``;
  const text = doc.text ? ` ${doc.text}` : '';
  const line = `${' '.repeat(indent)}${label} ${code(kinds, isValue)}${text === '' && !end.startsWith(' *') && end === '' ? '' : '.'}${text}${end}`;
  return [
    wrap(line, indent + 2),
    ...bodies.flatMap(membersIn).flatMap((member) => bullet(member, indent + 2)),
  ];
}

/** A default that is a value, as code; one that is told in words, as it is. */
const codeIf = (value) => (value === 'none' || /`|\w \w/.test(value) ? value : code(value));
const capital = (text) => text[0].toUpperCase() + text.slice(1);
/** A type as code. That an option may be `undefined` goes without saying; a value may not. */
const code = (text, isValue = false) =>
  `\`${flat(text)
    .replace(isValue ? /$^/ : / \| undefined\b/g, '')
    .replace(/^\| /, '')}\``;
const flat = (text) =>
  text
    .replace(/\/\*\*?[^]*?\*\//g, '')
    .replace(/\s+/g, ' ')
    .trim();

// --- Reading declarations ------------------------------------------------------------------------

/** Calls `visit(character, index, depth)` for what is neither in a comment nor in a string. */
function scan(text, from, visit) {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    if (text.startsWith('/*', at)) at = text.indexOf('*/', at) + 1;
    else if (text.startsWith('//', at)) at = text.indexOf('\n', at);
    else if (text[at] === "'") at = text.indexOf("'", at + 1);
    else {
      if (')]}'.includes(text[at])) depth -= 1;
      if (visit(text[at], at, depth)) return at;
      if ('([{'.includes(text[at])) depth += 1;
    }
  }
  return text.length;
}

/** Where the body that begins after `from` ends: of a class whose heritage may have braces too. */
function bodyEnd(text, from) {
  let angle = 0;
  const start = scan(text, from, (character) => {
    if (character === '<') angle += 1;
    if (character === '>') angle -= 1;
    return character === '{' && angle === 0;
  });
  return scan(text, start, (character, at, depth) => character === '}' && depth === 0) + 1;
}

const stop = (text, from) =>
  scan(text, from, (character, at, depth) => character === ';' && depth === 0);

function bodyOf(source) {
  let angle = 0;
  const start = scan(source, 0, (character) => {
    if (character === '<') angle += 1;
    if (character === '>') angle -= 1;
    return character === '{' && angle === 0;
  });
  return source.slice(start + 1, source.lastIndexOf('}'));
}

/** The bodies of the objects in a type that are not the parameters of a function in it. */
function objectsIn(type) {
  const bodies = [];
  scan(type, 0, (character, at, depth) => {
    if (character !== '{' || depth !== 0) return false;
    const end = scan(type, at, (each, place, below) => each === '}' && below === 0);
    bodies.push(type.slice(at + 1, end));
    return false;
  });
  return bodies;
}

/** Whether a type has a `&` in no brackets. */
function isIntersection(type) {
  return scan(type, 0, (character, at, depth) => character === '&' && depth === 0) < type.length;
}

/** The parts of a union or an intersection. */
function unionOf(type) {
  const parts = [];
  let start = 0;
  let angle = 0;
  scan(type, 0, (character, at, depth) => {
    if (character === '<') angle += 1;
    if (character === '>' && type[at - 1] !== '=') angle -= 1;
    if ((character === '|' || character === '&') && depth === 0 && angle === 0) {
      parts.push(type.slice(start, at));
      start = at + 1;
    }
    return false;
  });
  parts.push(type.slice(start));
  return parts.map(flat).filter((part) => part !== '' && part !== 'undefined');
}

/** @returns {object[]} the members of a body: properties have a `type`, methods `signatures` */
function membersIn(body) {
  const members = new Map();
  for (let at = 0; at < body.length;) {
    const end = stop(body, at);
    const source = body.slice(at, end);
    at = end + 1;
    const comments = [...source.matchAll(/\/\*\*[^]*?\*\//g)];
    const comment = /^\s*(\/\*\*[^]*?\*\/\s*|\/\/.*\s*)*/.exec(source)[0];
    const text = source.slice(comment.length).trim();
    const match = /^(?:(?:readonly|static|declare) )*(get )?(\[[\w.]+\]|\w+)(\?)?\s*(?=[:(<])/.exec(
      text,
    );
    if (match === null) continue;
    const [whole, getter, name, optional] = match;
    const doc = docOf(comment.includes('/**') ? comments[0][0] : '');
    const rest = text.slice(whole.length);
    if (rest.startsWith(':')) {
      members.set(name, { name, optional: optional !== undefined, doc, type: rest.slice(1) });
    } else if (getter) {
      members.set(name, { name, optional: false, doc, type: resultOf(rest) });
    } else if (members.has(name)) {
      members.get(name).signatures.push(rest);
    } else {
      members.set(name, { name, doc, params: true, signatures: [rest] });
    }
  }
  return [...members.values()];
}

/** The parameters of a signature. */
function paramsOf(signature) {
  const open = scan(signature, 0, (character) => character === '(');
  const close = scan(signature, open, (each, at, depth) => each === ')' && depth === 0);
  const params = [];
  const text = signature.slice(open + 1, close);
  for (let at = 0; at < text.length;) {
    const end = scan(text, at, (each, place, depth) => each === ',' && depth === 0);
    const match = /^\s*(\.\.\.)?(\w+)(\?)?:([^]*)$/.exec(text.slice(at, end));
    if (match) {
      const [, dots, name, mark, type] = match;
      params.push({ name, optional: mark === '?', rest: dots !== undefined, type });
    }
    at = end + 1;
  }
  return params;
}

function resultOf(signature) {
  const open = scan(signature, 0, (character) => character === '(');
  const close = scan(signature, open, (each, at, depth) => each === ')' && depth === 0);
  return flat(signature.slice(close + 1).replace(/^\s*:/, ''));
}

function commentBefore(text, index) {
  const before = text.slice(0, index).trimEnd();
  return before.endsWith('*/') ? before.slice(before.lastIndexOf('/**')) : '';
}

/** A comment's description and tags; its examples are left to the pages. */
function docOf(comment) {
  const text = comment
    .replace(/^\/\*\*|\*\/$/g, '')
    .replace(/^[ \t]*\* ?/gm, '')
    .replace(/```[^]*?```/g, '')
    .replace(/\bdocs\/([\w-]+\.md)\b/g, '[$1]($1)')
    .replace(/\{@link\s+(https?:[^}\s]+)\s*\}/g, '<$1>')
    .replace(/\{@link\s+([^}]+?)\s*\}/g, (_, name) => `\`${name}\``);
  const [description, ...tags] = text.split(
    /(?:^|\s)@(?=(?:default|param|returns|throws|since|module)\b)/,
  );
  const doc = { text: description.trim(), params: {}, throws: [] };
  for (const tag of tags) {
    const [, kind, rest] = /^(\w+)\s*([^]*)$/.exec(tag);
    const value = flat(rest);
    if (kind === 'default' || kind === 'returns' || kind === 'since') doc[kind] = value;
    if (kind === 'throws') {
      const classes = (_, types) => types.replace(/\w+/g, '`$&`').replaceAll(' | ', ' or ');
      doc.throws.push(value.replace(/^\{([\w |]+)\}/, classes));
    }
    if (kind === 'param') {
      const [, name, about] = /^(\w+)\s*(.*)$/.exec(value) ?? [];
      if (name) doc.params[name] = about;
    }
  }
  return doc;
}

/**
 * Text in lines of at most 100 columns; those after the first line are indented, as are paragraphs
 * and items of lists in it.
 */
function wrap(text, indent = 0) {
  const pad = ' '.repeat(indent);
  return text
    .split(/\n\s*\n/)
    .map((paragraph, first) => {
      const [head, ...items] = paragraph.split(/\n(?=- )/);
      const inner = first > 0 && head.startsWith('- ');
      const lines = [wrapOne((first > 0 ? pad : '') + head, indent + (inner ? 2 : 0))];
      for (const item of items) lines.push(wrapOne(pad + item, indent + 2));
      return lines.join('\n');
    })
    .join('\n\n');
}

function wrapOne(text, indent) {
  const lead = /^ */.exec(text)[0];
  const lines = [];
  let line = lead;
  for (const word of text.trim().split(/\s+/)) {
    const more = line.trim() === '' ? line + word : `${line} ${word}`;
    if (more.length <= WIDTH || line.trim() === '') {
      line = more;
    } else {
      lines.push(line);
      line = ' '.repeat(indent) + word;
    }
  }
  return [...lines, line].join('\n');
}
