# One run of a program under wasmtime, for whole.mjs. Prints its time, in ms, from the configuration
# of the host to the end of the program.
#
#   python wasmtime-run.py PROGRAM.wasm OUTPUT PREOPENS ARGS
#
# The last two are JSON. The module is compiled once and kept beside the output.
import json
import os
import sys
import time

from wasmtime import Engine, ExitTrap, Linker, Module, Store, WasiConfig

wasm, output, preopens, args = sys.argv[1:]
kept = f"{output}.{os.path.basename(wasm)}.compiled"
engine = Engine()
if os.path.exists(kept):
    module = Module.deserialize_file(engine, kept)
else:
    module = Module.from_file(engine, wasm)
    with open(kept, "wb") as file:
        file.write(module.serialize())
before = time.perf_counter()
config = WasiConfig()
config.argv = json.loads(args)
config.env = [["PWD", "/"]]
config.stdout_file = output
for guest, host in json.loads(preopens).items():
    config.preopen_dir(host, guest)
store = Store(engine)
store.set_wasi(config)
linker = Linker(engine)
linker.define_wasi()
start = linker.instantiate(store, module).exports(store)["_start"]
try:
    start(store)
except ExitTrap as end:
    if end.code != 0:
        raise
print((time.perf_counter() - before) * 1000)
