;; The guest waits for input with a shared memory that another thread grows meanwhile: what comes
;; in lands where it should, and the new page can be used by the next call. Exits with the number of
;; the first step that fails.
(module
  (import "env" "memory" (memory 1 64 shared))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (export "memory" (memory 0))
  (data (i32.const 0) "\20\00\00\00\08\00\00\00")
  (data (i32.const 32) "waiting\n")

  (func $expect (param $step i32) (param $got i32) (param $want i32)
    (if (i32.ne (local.get $got) (local.get $want))
      (then (call $proc_exit (local.get $step)))))

  (func (export "_start")
    (call $expect (i32.const 1)
      (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)) (i32.const 0))
    ;; "12345678": the first four to 128, while the memory grows.
    (i32.store (i32.const 64) (i32.const 128))
    (i32.store (i32.const 68) (i32.const 4))
    (call $expect (i32.const 2)
      (call $fd_read (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 16)) (i32.const 0))
    (call $expect (i32.const 3) (i32.load (i32.const 16)) (i32.const 4))
    (call $expect (i32.const 4) (i32.load (i32.const 128)) (i32.const 0x34333231))
    (call $expect (i32.const 5) (memory.size) (i32.const 3))
    ;; The other four into the last page.
    (i32.store (i32.const 64) (i32.const 0x2fff0))
    (call $expect (i32.const 6)
      (call $fd_read (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 0x2ff00)) (i32.const 0))
    (call $expect (i32.const 7) (i32.load (i32.const 0x2ff00)) (i32.const 4))
    (call $expect (i32.const 8) (i32.load (i32.const 0x2fff0)) (i32.const 0x38373635))))
