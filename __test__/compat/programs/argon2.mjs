// argon2 hashes passwords on Workers, with salts from the host's random numbers.
import assert from 'node:assert/strict';
import argon2 from '@node-rs/argon2-wasm32-wasi';

const options = { memoryCost: 1024, timeCost: 2 };
const passwords = ['pässword', 'pässword', 'other'];
const hashes = await Promise.all(passwords.map((password) => argon2.hash(password, options)));
assert.equal(new Set(hashes).size, 3);
for (const hash of hashes) assert.match(hash, /^\$argon2id\$v=19\$m=1024,t=2,/);
assert.equal(await argon2.verify(hashes[0], 'pässword'), true);
assert.equal(await argon2.verify(hashes[0], 'password'), false);
