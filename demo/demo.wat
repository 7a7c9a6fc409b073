;; The smallest program that does something: it prints "hello world".
(module
  ;; fd_write(descriptor, list of vectors, their count, where the number of bytes written goes)
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param $fd i32) (param $iovs i32) (param $count i32) (param $written i32)
      (result i32)))
  (memory (export "memory") 1)
  (data $text (i32.const 32) "hello world\n")

  (func (export "_start")
    ;; One vector at address 0: the text starts at 32 and has 12 bytes.
    (i32.store offset=0 (i32.const 0) (i32.const 32))
    (i32.store offset=4 (i32.const 0) (i32.const 12))
    ;; 1 is stdout. The result, an error number, is not looked at.
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))))
