/**
 * The modules of `wasi-rs/p2` that code made by jco imports, by `--map` or under the preload: each
 * exports the interfaces of its package, and what installed packages call besides. Nobody writes
 * these imports by hand, so their members have no types of their own.
 */
declare const interfaces: { readonly [name: string]: any };
export = interfaces;
