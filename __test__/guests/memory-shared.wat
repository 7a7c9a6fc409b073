;; The memory is shared and comes from the host. It grows while the module runs: a shared memory
;; keeps its old buffer, and calls must still see all of it. Exits with the number of the first
;; step that fails.
(module
  (import "env" "memory" (memory 1 64 shared))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (export "memory" (memory 0))
  (data (i32.const 0) "\20\00\00\00\07\00\00\00")
  (data (i32.const 32) "shared\n")

  (func $expect (param $step i32) (param $got i32) (param $want i32)
    (if (i32.ne (local.get $got) (local.get $want))
      (then (call $proc_exit (local.get $step)))))

  (func (export "_start")
    (local $page i32)
    (call $expect (i32.const 1)
      (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)) (i32.const 0))
    (call $expect (i32.const 2) (i32.load (i32.const 16)) (i32.const 7))
    ;; Past the end: OVERFLOW.
    (call $expect (i32.const 3)
      (call $random_get (i32.const 65536) (i32.const 8)) (i32.const 61))
    (loop $grow
      (local.set $page (memory.grow (i32.const 1)))
      (if (i32.ne (local.get $page) (i32.const -1))
        (then
          (call $expect (i32.const 4)
            (call $random_get (i32.shl (local.get $page) (i32.const 16)) (i32.const 65536))
            (i32.const 0))
          (call $expect (i32.const 5)
            (i64.eqz (i64.load (i32.shl (local.get $page) (i32.const 16)))) (i32.const 0))
          (call $expect (i32.const 6)
            (call $random_get (i32.shl (local.get $page) (i32.const 16)) (i32.const 65537))
            (i32.const 61))
          (br $grow))))
    (call $expect (i32.const 7) (memory.size) (i32.const 64))
    ;; Text in the last page, vector in the middle, result in another.
    (memory.copy (i32.const 0x3f0000) (i32.const 32) (i32.const 7))
    (i32.store (i32.const 0x200000) (i32.const 0x3f0000))
    (i32.store (i32.const 0x200004) (i32.const 7))
    (call $expect (i32.const 8)
      (call $fd_write (i32.const 1) (i32.const 0x200000) (i32.const 1) (i32.const 0x100000))
      (i32.const 0))
    (call $expect (i32.const 9) (i32.load (i32.const 0x100000)) (i32.const 7))))
