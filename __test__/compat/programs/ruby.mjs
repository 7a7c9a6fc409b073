// Ruby walks a tree of files and rewrites, renames, copies, links and removes them.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { WASI } from 'node:wasi';
import { RubyVM } from '@ruby/wasm-wasi';
import { filesBelow, folder } from '../folder.mjs';

const require = createRequire(import.meta.url);
const count = 150;
const files = {};
for (let i = 0; i < count; i++) files[`d${i % 5}/s${i % 3}/f${i}.txt`] = `n: ${i}\ncolour: blue\n`;
const root = folder('work', files);
fs.symlinkSync('d0/s0/f0.txt', path.join(root, 'link'));

const wasi = new WASI({
  version: 'preview1',
  env: { GREETING: 'grüß' },
  preopens: { '/work': root },
});
const wasm = fs.readFileSync(require.resolve('@ruby/3.4-wasm-wasi/dist/ruby+stdlib.wasm'));
const compiled = await WebAssembly.compile(wasm);
const { vm } = await RubyVM.instantiateModule({ module: compiled, wasip1: wasi });

const script = `
  require 'find'
  require 'fileutils'
  require 'json'
  Dir.chdir('/work')
  rewritten = 0
  Find.find('.') do |name|
    next unless File.file?(name) && !File.symlink?(name) && name.end_with?('.txt')
    File.write(name, File.read(name).gsub('blue', 'red'))
    rewritten += 1
  end
  FileUtils.mkdir_p('new/deep')
  FileUtils.mv('d1', 'new/deep/moved')
  FileUtils.cp_r('d2', 'copy')
  FileUtils.rm_r('d3')
  FileUtils.touch('stamp', mtime: Time.at(1_000_000_000))
  2.times { |i| File.open('log', 'a') { |f| f.puts(i) } }
  error = lambda do |&act|
    act.call
    'none'
  rescue SystemCallError => thrown
    thrown.class.name
  end
  JSON.generate(
    rewritten: rewritten,
    found: Dir.glob('**/*.txt').size,
    children: Dir.children('d0').sort,
    link: [File.readlink('link'), File.read('link')],
    mtime: File.mtime('stamp').to_i,
    seek: File.open('log', 'r+') { |f| f.seek(2); a = f.read; f.truncate(1); f.rewind; [a, f.read] },
    errors: [
      error.call { File.read('none') },
      error.call { Dir.rmdir('copy') },
      error.call { Dir.mkdir('copy') },
      error.call { File.read('/work/../outside') },
    ],
    greeting: ENV['GREETING'].dup.force_encoding('UTF-8'),
  )`;
assert.deepEqual(JSON.parse(vm.eval(script).toString()), {
  rewritten: count,
  found: count,
  children: ['s0', 's1', 's2'],
  link: ['d0/s0/f0.txt', 'n: 0\ncolour: red\n'],
  mtime: 1_000_000_000,
  seek: ['1\n', '0'],
  errors: ['Errno::ENOENT', 'Errno::ENOTEMPTY', 'Errno::EEXIST', 'Errno::ENOTCAPABLE'],
  greeting: 'grüß',
});

const left = filesBelow(root);
const below = (name) => left.filter((file) => file.startsWith(`${name}/`)).length;
assert.deepEqual(
  ['d0', 'd1', 'd2', 'd3', 'd4', 'new/deep/moved', 'copy'].map(below),
  [30, 0, 30, 0, 30, 30, 30],
);
assert.equal(fs.readFileSync(path.join(root, 'd4/s1/f4.txt'), 'utf8'), 'n: 4\ncolour: red\n');
