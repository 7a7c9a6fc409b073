;; A command that waits: it sleeps for 200 ms, then copies its standard input to its standard output
;; until the input ends, and exits with 5.
(module
  (import "wasi_snapshot_preview1" "fd_read"
    (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff"
    (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  ;; A subscription to the monotonic clock at 0: 200,000,000 ns from now.
  (data (i32.const 16) "\01\00\00\00\00\00\00\00\00\c2\eb\0b")
  ;; A list of one buffer at 256; its length stands at 260, the buffer at 1024.
  (func $check (param $errno i32)
    (if (local.get $errno) (then (call $proc_exit (i32.const 1)))))
  (func (export "_start") (local $left i32)
    (call $check
      (call $poll_oneoff (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))
    (loop $more
      (i32.store (i32.const 256) (i32.const 1024))
      (i32.store (i32.const 260) (i32.const 4096))
      (call $check (call $fd_read (i32.const 0) (i32.const 256) (i32.const 1) (i32.const 128)))
      (local.set $left (i32.load (i32.const 128)))
      (if (i32.eqz (local.get $left)) (then (call $proc_exit (i32.const 5))))
      (loop $rest
        (i32.store (i32.const 260) (local.get $left))
        (call $check (call $fd_write (i32.const 1) (i32.const 256) (i32.const 1) (i32.const 128)))
        (i32.store (i32.const 256) (i32.add (i32.load (i32.const 256)) (i32.load (i32.const 128))))
        (local.set $left (i32.sub (local.get $left) (i32.load (i32.const 128))))
        (br_if $rest (local.get $left)))
      (br $more))))
