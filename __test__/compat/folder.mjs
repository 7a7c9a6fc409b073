// Files for the programs. Each runs in an empty temporary folder that is removed after it.
import fs from 'node:fs';
import path from 'node:path';

/** Makes a folder with files in it, by their names; gives its path. */
export function folder(name, files = {}) {
  const root = path.join(fs.realpathSync(process.cwd()), name);
  fs.mkdirSync(root, { recursive: true });
  for (const [file, text] of Object.entries(files)) {
    const place = path.join(root, file);
    fs.mkdirSync(path.dirname(place), { recursive: true });
    fs.writeFileSync(place, text);
  }
  return root;
}

/** @returns {string[]} the paths of all files below a folder, sorted */
export function filesBelow(root) {
  const below = (place) =>
    fs.readdirSync(path.join(root, place), { withFileTypes: true }).flatMap((entry) => {
      const name = path.join(place, entry.name);
      return entry.isDirectory() ? below(name) : [name];
    });
  return below('').sort();
}
