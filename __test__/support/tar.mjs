// Archives of `tar`, made block by block: also such as no program makes.

/**
 * An entry of an archive.
 *
 * @param {string} name
 * @param {object} [entry]
 * @param {string} [entry.type] as the header has it: '0' is a file, '1' a hard link, '2' a symbolic
 *   link, '5' a directory, 'L' a long name
 * @param {string} [entry.link] what a link leads to
 * @param {string | Uint8Array} [entry.data]
 * @param {number} [entry.size] that the header says, in bytes
 * @param {number} [entry.sum] that the header says
 */
export function entry(name, { type = '0', link = '', data = '', size, sum } = {}) {
  const bytes = Buffer.from(data);
  const header = Buffer.alloc(512);
  header.write(name, 0, 100);
  header.write('0000644\0', 100);
  header.write('0000000\0', 108);
  header.write('0000000\0', 116);
  header.write(`${(size ?? bytes.length).toString(8).padStart(11, '0')}\0`, 124);
  header.write('07346545000\0', 136);
  header.write('        ', 148);
  header.write(type, 156);
  header.write(link, 157, 100);
  header.write('ustar\x0000', 257);
  let total = 0;
  for (const byte of header) total += byte;
  header.write(`${(sum ?? total).toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

/** An archive with its end. */
export function archive(...entries) {
  return Buffer.concat([...entries, Buffer.alloc(1024)]);
}
